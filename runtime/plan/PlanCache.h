//===- PlanCache.h - compiled plans, found again by content -------------------------------------------------------------===//
//
// FOLDER/plans/KEY.plan, FOLDER/locks/KEY.lock, FOLDER/hashes/… (which content a path had, by size, mtime and inode).
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/plan/Plan.h"
#include <functional>
#include <string>

namespace heddle {

/// What makes two plans the same.
struct PlanKey {
  std::string model;       // contentHash() of the model
  std::string build;       // what compiles: a hash of the compiler
  std::string target;      // as "x86-64-v3"
  std::string options;     // every option that changes the plan, in one canonical text
  std::string hex() const; // SHA-256 over the four
};

/// Any number of processes and threads may use one folder. Throws PlanError.
class PlanCache {
public:
  /// $XDG_CACHE_HOME/heddle (if absolute), else ~/.cache/heddle.
  static std::filesystem::path defaultFolder();
  /// Creates the folder (mode 0700 for what is new).
  explicit PlanCache(const std::filesystem::path &folder = defaultFolder());

  const std::filesystem::path &folder() const { return folder_; }
  std::filesystem::path planPath(const std::string &key) const { return folder_ / "plans" / (key + ".plan"); }

  /// SHA-256 of a file, or of a folder's files and their names; remembered for an unchanged (path, size, mtime, inode).
  std::string contentHash(const std::filesystem::path &model) const;

  /// The plan of `key`, made by `build(destination)` if it is missing or does not open. Of several processes that want the same
  /// key one builds; the others call `waiting` once, sleep, and find the plan. If the builder fails or dies, the next one builds.
  /// `note` gets a line when the folder's file system has no locks; then each builds for itself. With `everyByte` a plan that is
  /// there is read whole, and made again where it is damaged.
  Plan obtain(const std::string &key, const std::function<void(const std::filesystem::path &destination)> &build,
              const std::function<void()> &waiting = {}, const std::function<void(const std::string &)> &note = {},
              bool everyByte = false) const;

private:
  std::string fileHash(const std::filesystem::path &file) const;
  std::filesystem::path folder_;
};

} // namespace heddle
