//===- StepExecutor.h - runs the compiled step on this rank ----------------------------------------------------------===//
#pragma once
#include "runtime/comm/Communicator.h"
#include "runtime/engine/StepPlan.h"
#include "runtime/engine/StepProfile.h"
#include "runtime/kvcache/KvMemory.h"
#include "runtime/plan/Frame.h"
#include "runtime/plan/Plan.h"
#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace heddle {

/// An entry as one rank calls it: compiled code or, in tests, any function of that type.
struct ModelEntry {
  std::string name;
  EntryFunction function;
  EntryOutputs outputs;
  std::vector<StateUse> states = {};
};

/// A program as one rank runs it, and what it reads.
struct StepModel {
  std::vector<ModelEntry> entries;
  int64_t logits = 0;                // of them, the one that gives logits, its only output; -1: none does
  std::shared_ptr<const void> owner; // keeps the code and what follows alive
  const std::byte *weights = nullptr;
  const int64_t *weightOffsets = nullptr;
  const float *ropes = nullptr; // for `context` positions
  const int64_t *ropeOffsets = nullptr;
  int64_t vocabulary = 0, arenaBytesPerToken = 0, context = 0, tokenTypes = 1;
  StateShapes kv;
  std::vector<int64_t> endOfText;

  int64_t logitStride() const { return entries[static_cast<size_t>(logits)].outputs[0].stride; }
  std::vector<EntryOutputs> outputs() const {
    std::vector<EntryOutputs> all;
    for (const ModelEntry &entry : entries)
      all.push_back(entry.outputs);
    return all;
  }
};

/// The largest step that there is room for.
struct StepRoom {
  int64_t tokens, rows, context; // of all sequences; whose logits are wanted; longest position of a sequence
  /// Of a transient state: those of all tokens, and a part of one for each of as many sequences as rows.
  int64_t transientPages() const { return KvCache::pagesFor(tokens) + rows; }
};
/// Bytes that the buffers of such a step take on a rank, whichever entry it calls: arena, outputs, attention's partial states,
/// transient states.
struct StepBytes {
  int64_t arena, outputs, partials, transient;
  int64_t all() const { return arena + outputs + partials + transient; }
};
/// The outputs of a step, rows in the plan's order.
using StepOutputs = std::vector<const float *>;
StepBytes stepBytes(const StepRoom &room, int64_t arenaBytesPerToken, const std::vector<EntryOutputs> &entries,
                    const StateShapes &kv, int64_t rank, int64_t ranks);

struct StepContext; // what heddle_barrier and heddle_all_gather find behind their `context`

/// Owns this rank's arena, outputs and KV memory, whose size is set at the start: no step can fail for want of memory later. One
/// thread drives it; run() enters one OpenMP region of `threads` threads, in which every thread computes with round-to-nearest
/// and without flushing denormals, whatever the caller had set.
class StepExecutor {
public:
  /// Throws when `threads` threads cannot be had.
  StepExecutor(const StepModel &model, const StepRoom &room, int64_t pages, int64_t threads, Communicator &group);
  ~StepExecutor();
  /// Does the page work and calls the plan's entry, which has room. Its outputs, until the next run; null when the step was left
  /// early. Throws what the communicator threw; the executor cannot be used after that.
  const StepOutputs *run(StepPlan &plan);
  /// While `flag`, which outlives the executor, is true, all threads leave a step at its next barrier. In a group of one only:
  /// the other ranks would wait for this one.
  void leaveStepsWhile(const std::atomic<bool> &flag);
  /// From now on, times every kernel of every step, until endProfile().
  void startProfile();
  std::vector<KernelTime> endProfile();

private:
  /// What a step's tables are made of on this rank alone.
  struct Tables {
    StepInts ends;        // [sequences] positions of each
    StepInts first, last; // [sequences] token of each
    StepInts types;       // [tokens] 0 where the plan says nothing
    StepInts transient;   // [sequences · width] pages, one after another; none where the entry has no use for them
    int64_t width = 0, pages = 0;
  };
  static Tables tablesOf(const StepPlan &plan, bool transient);

  StepModel model_;
  int64_t threads_;
  Communicator &group_;
  std::vector<KvMemory> memory_; // of each state
  StepOutputs results_;          // of the last run
  HugeBuffer arena_, partials_, outputs_;
  std::unique_ptr<StepContext> context_;
};

} // namespace heddle
