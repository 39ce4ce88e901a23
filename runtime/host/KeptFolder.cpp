//===- KeptFolder.cpp - a temporary folder that does not outlive its process --------------------------------------------===//
#include "runtime/host/KeptFolder.h"
#include "runtime/host/ProcFs.h"
#include "runtime/host/Spawn.h"
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace heddle {
namespace {

namespace fs = std::filesystem;

bool processIsGone(std::string_view digits) {
  pid_t pid = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  return error == std::errc() && end < digits.data() + digits.size() && *end == '-' && pid > 0 && kill(pid, 0) != 0 &&
         errno == ESRCH;
}

/// Removes folders of this user whose process is gone. The lock says the same of processes that this namespace does not show.
void sweep(const fs::path &base, const std::string &prefix) {
  std::error_code ignored;
  for (const fs::directory_entry &entry : fs::directory_iterator(base, fs::directory_options::skip_permission_denied, ignored)) {
    std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || !processIsGone(std::string_view(name).substr(prefix.size())))
      continue;
    int folder = open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
      continue;
    struct stat info{};
    bool free = flock(folder, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (free && fstat(folder, &info) == 0 && info.st_uid == getuid())
      fs::remove_all(entry.path(), ignored);
    close(folder);
  }
}

} // namespace

KeptFolder::KeptFolder(const std::string &prefix, const std::vector<fs::path> &bases, size_t longestBase) {
  std::string problems;
  for (const fs::path &base : bases) {
    sweep(base, prefix + "-");
    std::string name = (base / (prefix + "-" + std::to_string(getpid()) + "-XXXXXX")).string();
    bool fits = base.string().size() <= longestBase;
    if (fits && mkdtemp(name.data())) { // mode 0700
      path_ = name;
      break;
    }
    problems +=
        (problems.empty() ? "" : ", ") + base.string() + " (" + (fits ? std::strerror(errno) : "its path is too long") + ")";
  }
  if (path_.empty())
    throw std::runtime_error("no folder for temporary files can be made in " + problems +
                             "; set TMPDIR to a folder that you can write");
  lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ >= 0)
    flock(lock_, LOCK_EX | LOCK_NB);
  keeper_ = startKeeper(path_); // without one the folder is only swept later
  if (keeper_.process > 0)
    watcher_ = std::thread([this] { keepOne(); });
}

std::pair<std::string, std::string> KeptFolder::mark() const { return {std::string(kFolderMark), path_.string()}; }

/// While this lives there is a keeper, where one can be started.
void KeptFolder::keepOne() {
  while (keeper_.process > 0) {
    while (waitpid(keeper_.process, nullptr, 0) < 0 && errno == EINTR) {
    }
    std::unique_lock lock(mutex_);
    // Whatever ends them one after another shall not keep us busy.
    if (changed_.wait_for(lock, std::chrono::milliseconds(50), [this] { return closing_; }))
      return;
    close(keeper_.lifeline);
    keeper_ = startKeeper(path_);
  }
}

Keeper startKeeper(const fs::path &folder, const std::string &watched) {
  Keeper keeper;
  std::error_code error;
  fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path() / "heddle-keeper";
  int ends[2], nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0 || pipe2(ends, O_CLOEXEC) != 0) {
    if (nowhere >= 0)
      close(nowhere);
    return keeper;
  }
  std::string lines = folder.string() + "\n" + (watched.empty() ? "" : watched + "\n");
  try {
    SpawnOptions how;
    how.input = ends[0];
    how.output = watched.empty() ? nowhere : STDERR_FILENO; // it must not keep the reader of our output waiting
    how.ownGroup = true;
    how.drop = {std::string(kFolderMark)}; // keepers do not wait for one another
    keeper.process = spawn({program.string()}, how);
    keeper.lifeline = std::exchange(ends[1], -1);
    [[maybe_unused]] ssize_t written = write(keeper.lifeline, lines.data(), lines.size());
  } catch (const std::system_error &) {
  }
  for (int descriptor : {ends[0], ends[1], nowhere})
    if (descriptor >= 0)
      close(descriptor);
  return keeper;
}

KeptFolder::~KeptFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  if (lock_ >= 0)
    close(lock_);
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
    if (keeper_.lifeline >= 0)
      close(keeper_.lifeline);
  }
  if (watcher_.joinable())
    watcher_.join();
}

std::vector<fs::path> temporaryBases() {
  std::vector<fs::path> all;
  for (const char *variable : {"XDG_RUNTIME_DIR", "TMPDIR"})
    if (const char *value = std::getenv(variable); value && value[0] == '/')
      all.emplace_back(value);
  all.emplace_back("/tmp");
  return all;
}

} // namespace heddle
