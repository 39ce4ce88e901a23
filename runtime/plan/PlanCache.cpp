//===- PlanCache.cpp - compiled plans, found again by content -----------------------------------------------------------===//
#include "runtime/plan/PlanCache.h"
#include "runtime/host/FileLock.h"
#include "runtime/plan/ContentHash.h"
#include "runtime/plan/Files.h"
#include "runtime/plan/WeightSums.h"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <sys/stat.h>
#include <system_error>
#include <time.h>
#include <unistd.h>

namespace heddle {
namespace fs = std::filesystem;
namespace {

/// A plan that opens and says it is the one; nullopt also for one that a newer or older program wrote.
std::optional<Plan> openIfGood(const fs::path &path, const std::string &key, bool everyByte) {
  std::error_code error;
  if (!fs::exists(path, error))
    return std::nullopt;
  try {
    Plan plan = Plan::open(path);
    if (plan.manifest().key != key)
      return std::nullopt;
    if (everyByte)
      verifyPlan(plan);
    return plan;
  } catch (const PlanError &) {
    return std::nullopt; // damaged: it is compiled again and replaced
  }
}

/// The hash in a memo that begins with `expected`; nullopt for none, another or a broken one.
std::optional<std::string> readMemo(const fs::path &memo, const std::string &expected) {
  try {
    std::string text = files::readText(memo, 4096);
    if (text.size() != expected.size() + 65 || text.rfind(expected, 0) != 0)
      return std::nullopt;
    return text.substr(expected.size(), 64);
  } catch (const PlanError &) {
    return std::nullopt;
  }
}

/// What the memo compares: "size mtime inode device".
std::string identity(const struct stat &s) {
  return std::to_string(s.st_size) + " " + std::to_string(s.st_mtim.tv_sec) + "." + std::to_string(s.st_mtim.tv_nsec) + " " +
         std::to_string(s.st_ino) + " " + std::to_string(s.st_dev);
}

bool madeOrThere(const fs::path &folder) { return ::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST; }

void makeFolder(const fs::path &folder) {
  if (madeOrThere(folder))
    return;
  if (errno == ENOENT && folder != folder.parent_path()) {
    makeFolder(folder.parent_path());
    if (madeOrThere(folder))
      return;
  }
  if (errno == EACCES || errno == EPERM || errno == EROFS || errno == ENOTDIR)
    throw PlanError(folder.string() + ": cannot create: " + std::strerror(errno) +
                    ": set XDG_CACHE_HOME to a folder that can be written, or give a compiled plan");
  files::throwSystem(folder, "create", errno);
}

} // namespace

std::string PlanKey::hex() const {
  return Sha256().field("heddle plan key 1").field(model).field(build).field(target).field(options).hex();
}

fs::path PlanCache::defaultFolder() {
  if (const char *xdg = std::getenv("XDG_CACHE_HOME"); xdg && xdg[0] == '/')
    return fs::path(xdg) / "heddle";
  if (const char *home = std::getenv("HOME"); home && home[0] == '/')
    return fs::path(home) / ".cache" / "heddle";
  throw PlanError("cache folder: neither XDG_CACHE_HOME nor HOME is an absolute path: set one of them");
}

PlanCache::PlanCache(const fs::path &folder) : folder_(fs::absolute(folder)) {
  for (const char *part : {"plans", "locks", "hashes"})
    makeFolder(folder_ / part);
}

std::string PlanCache::contentHash(const fs::path &model) const {
  std::error_code error;
  if (!fs::is_directory(model, error))
    return fileHash(model);
  std::vector<fs::path> all;
  try {
    for (const auto &entry : fs::recursive_directory_iterator(model))
      if (entry.is_regular_file())
        all.push_back(entry.path());
  } catch (const fs::filesystem_error &e) {
    throw PlanError(model.string() + ": cannot read: " + e.code().message());
  }
  std::sort(all.begin(), all.end());
  Sha256 hash;
  for (const fs::path &file : all)
    hash.field(file.lexically_relative(model).string()).field(fileHash(file));
  return hash.hex();
}

std::string PlanCache::fileHash(const fs::path &file) const {
  struct stat before, after;
  if (::stat(file.c_str(), &before) != 0)
    files::throwSystem(file, "open", errno);
  std::error_code error;
  const fs::path full = fs::canonical(file, error);
  const fs::path memo = folder_ / "hashes" / Sha256().update(full.string()).hex();
  const std::string expected = identity(before) + " ";
  if (auto remembered = readMemo(memo, expected))
    return *remembered;
  std::string hash = hashFile(file);
  if (::stat(file.c_str(), &after) != 0 || identity(after) != identity(before))
    throw PlanError(file.string() + ": changes while it is read: wait until it is complete");
  // A file written within the last two seconds may change again without a new mtime (coarse clocks): not remembered yet.
  if (::time(nullptr) - after.st_mtim.tv_sec > 2) {
    const fs::path fresh = memo.string() + "." + files::randomName();
    try {
      files::writeFile(fresh, expected + hash + "\n");
      fs::rename(fresh, memo);
    } catch (const std::exception &) { // only a memo: the hash is right without it
      files::removeTree(fresh);
    }
  }
  return hash;
}

Plan PlanCache::obtain(const std::string &key, const std::function<void(const fs::path &)> &build,
                       const std::function<void()> &waiting, const std::function<void(const std::string &)> &note,
                       bool everyByte) const {
  const fs::path path = planPath(key);
  if (auto plan = openIfGood(path, key, everyByte)) {
    noteUse(path);
    return *plan;
  }

  const fs::path lockFile = folder_ / "locks" / (key + ".lock");
  std::optional<FileLock> lock;
  try {
    lock.emplace(lockFile, FileLock::Callbacks{waiting, {}, note});
  } catch (const std::system_error &error) {
    files::throwSystem(lockFile, "create", error.code().value());
  }
  if (auto plan = openIfGood(path, key, everyByte))
    return *plan;
  build(path);
  Plan plan = Plan::open(path);
  if (plan.manifest().key != key)
    throw PlanError(path.string() + ": holds the plan of another key: compile the model again");
  return plan;
}

} // namespace heddle
