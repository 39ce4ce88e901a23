//===- CacheUpkeep.cpp - what the plan cache holds, and what may go ------------------------------------------------------===//
#include "runtime/plan/Files.h"
#include "runtime/plan/PlanCache.h"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace heddle {
namespace fs = std::filesystem;
namespace {

uint64_t bytesBelow(const fs::path &folder) {
  uint64_t total = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    if (uint64_t size = entry->is_regular_file(gone) ? entry->file_size(gone) : 0; !gone)
      total += size;
  }
  return total;
}

/// Removes temporary folders of writers that are gone; those at work hold a lock on theirs.
uint64_t sweep(const fs::path &plans) {
  uint64_t freed = 0;
  std::error_code error;
  for (const auto &entry : fs::directory_iterator(plans, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(".") || name.find(".tmp-") == std::string::npos)
      continue;
    int fd = ::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
      continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      freed += bytesBelow(entry.path());
      files::removeTree(entry.path());
    }
    ::close(fd);
  }
  return freed;
}

} // namespace

std::vector<CachedPlan> PlanCache::plans() const {
  std::vector<CachedPlan> all;
  std::error_code error;
  for (const auto &entry : fs::directory_iterator(folder_ / "plans", error)) {
    if (entry.path().extension() != ".plan" || entry.path().filename().string().starts_with("."))
      continue;
    struct stat info;
    if (::lstat(entry.path().c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
      continue;
    CachedPlan plan{entry.path(), entry.path().stem().string(), {}, bytesBelow(entry.path()), info.st_mtim.tv_sec};
    try {
      plan.manifest = Plan::open(entry.path()).manifest();
      if (plan.manifest->key != plan.key)
        plan.manifest.reset();
    } catch (const PlanError &) { // damaged, or of another version
    }
    all.push_back(std::move(plan));
  }
  std::sort(all.begin(), all.end(), [](auto &a, auto &b) { return a.used > b.used; });
  return all;
}

bool PlanCache::canBeFound(const CachedPlan &plan, const std::string &build) const {
  if (!plan.manifest || plan.manifest->compiler.empty())
    return false;
  if (plan.manifest->compilerHash == build)
    return true;
  try {
    return contentHash(plan.manifest->compiler) == plan.manifest->compilerHash;
  } catch (const PlanError &) { // it is gone
    return false;
  }
}

uint64_t PlanCache::remove(const CachedPlan &plan) const {
  // First out of the way, so that nobody opens half of it.
  const fs::path aside = plan.path.parent_path() / ("." + plan.path.filename().string() + ".tmp-" + files::randomName());
  if (::rename(plan.path.c_str(), aside.c_str()) != 0) {
    if (errno == ENOENT)
      return 0;
    files::throwSystem(plan.path, "remove", errno);
  }
  files::removeTree(aside);
  return plan.bytes;
}

uint64_t PlanCache::prune(int64_t unusedSeconds, const std::string &build) const {
  uint64_t freed = sweep(folder_ / "plans");
  const int64_t now = ::time(nullptr);
  for (const CachedPlan &plan : plans())
    if (now - plan.used >= unusedSeconds && !canBeFound(plan, build))
      freed += remove(plan);
  return freed;
}

void PlanCache::noteUse(const fs::path &plan) { ::utimensat(AT_FDCWD, plan.c_str(), nullptr, 0); }

} // namespace heddle
