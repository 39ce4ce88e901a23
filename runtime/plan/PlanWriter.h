//===- PlanWriter.h - writes a plan, all of it or nothing ---------------------------------------------------------------===//
#pragma once
#include "runtime/plan/Files.h"
#include "runtime/plan/Plan.h"
#include <atomic>
#include <functional>
#include <mutex>
#include <span>

namespace heddle {

/// Writes into a temporary folder beside the destination and renames it at the end, so that a plan is never seen half-written.
///   PlanWriter writer("model.plan");
///   entry.offset = writer.reserveWeight(entry.bytes); writer.writeWeight(entry.offset, part); …
///   writer.addFile("tokenizer.json", text);
///   writer.finish(manifest);
/// Any error (a full disk, a wrong manifest) is one PlanError and ends the writer: nothing of it stays on the disk, at the latest
/// once it is destroyed. A writer that is destroyed unfinished leaves nothing; what a killed process left is swept by the next
/// writer of the same destination. One thread, except writeWeight.
class PlanWriter {
public:
  /// The destination's folder must exist; the destination must not, or be an empty folder or a plan, which finish() replaces.
  explicit PlanWriter(const std::filesystem::path &destination);
  /// The same checks, for before the work begins. Nothing is written. A folder that holds anything that no plan has is refused.
  static void check(const std::filesystem::path &destination);
  ~PlanWriter();
  PlanWriter(const PlanWriter &) = delete;
  PlanWriter &operator=(const PlanWriter &) = delete;

  /// A file at `relative` (as "ir/0-graph.mlir"); each name once.
  void addFile(std::string_view relative, std::string_view bytes);
  void addFile(std::string_view relative, std::span<const std::byte> bytes);

  /// Room for `bytes` in weights.bin; gives its offset, a multiple of 64.
  uint64_t reserveWeight(uint64_t bytes);
  /// Writes a part of the room that was reserved: whole row groups of `group` bytes, 0: it is one. Each has its checksum. Any
  /// thread.
  void writeWeight(uint64_t offset, std::span<const std::byte> part, uint64_t group = 0);
  /// Both at once.
  uint64_t addWeight(std::span<const std::byte> bytes, uint64_t group = 0);

  /// Writes the manifest with the list of all files, checks the plan by opening it, makes it durable and puts it in place. Every
  /// file is then on the disk.
  void finish(const Manifest &manifest);

  /// Where files land until finish(), for tools that write them by path (the linker). Do not keep it.
  const std::filesystem::path &temporaryFolder() const { return temporary_; }

private:
  void begin();
  void addSums(const Manifest &manifest);
  void sweepAbandoned() const;
  void publish();
  void discard() noexcept;
  template <class Action> void guarded(Action action);

  std::filesystem::path destination_, temporary_;
  files::File lock_, weights_; // lock_: the temporary folder itself, locked while this writer lives
  uint64_t reserved_ = 0, reservedSum_ = 0;
  std::atomic<uint64_t> written_ = 0;
  std::mutex sumsMutex_;
  std::vector<std::pair<uint64_t, uint64_t>> sums_; // of row groups: offset in weights.bin, checksum
};

/// Size and checksum of a file in a plan's folder, as the manifest lists it.
PlanFile planFile(const std::filesystem::path &folder, std::string_view relative);

/// Replaces the manifest of an opened plan at once (rename), after checking that it describes the same weights.bin. For code
/// added later: `addFiles` puts in place what the new manifest names, when that is written and needs no more room.
void replaceManifest(const Plan &plan, const Manifest &manifest, const std::function<void()> &addFiles = {});

} // namespace heddle
