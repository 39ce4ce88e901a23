//===- PlanCache.h - compiled plans, found again by content -------------------------------------------------------------===//
//
// FOLDER/plans/KEY.plan, FOLDER/locks/KEY.lock, FOLDER/hashes/… (which content a path had, by size, mtime and inode).
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/plan/Plan.h"
#include <functional>
#include <optional>
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

/// What lies in the cache under one key.
struct CachedPlan {
  std::filesystem::path path;
  std::string key;
  std::optional<Manifest> manifest; // none: damaged, or of another version
  uint64_t bytes;
  int64_t used; // when last, in seconds since 1970
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

  /// All plans, the one used last first.
  std::vector<CachedPlan> plans() const;
  /// Whether somebody can come for it: the compiler that made it is the one of `build`, its content's hash, or still where it
  /// was.
  bool canBeFound(const CachedPlan &plan, const std::string &build) const;
  /// Gives the bytes that it freed; 0 when it was gone already.
  uint64_t remove(const CachedPlan &plan) const;
  /// Removes what killed compiles left, and every plan that cannot be found and was not used for so long; gives the bytes.
  uint64_t prune(int64_t unusedSeconds, const std::string &build) const;
  /// The plan is used now; where the folder is read-only that is not noted.
  static void noteUse(const std::filesystem::path &plan);

private:
  std::string fileHash(const std::filesystem::path &file) const;
  std::filesystem::path folder_;
};

} // namespace heddle
