//===- SocketDirectory.cpp -----------------------------------------------------------------------------------------===//
#include "services/frontend/SocketDirectory.h"
#include "services/frontend/GroupOptions.h"
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace heddle {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPrefix = "heddle-link-";

bool ownedByUs(const fs::path &path) {
  struct stat info{};
  return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == getuid();
}

/// heddle-link-PID-XXXXXX whose process is gone. Only the socket and then the empty directory are removed, never a tree.
void sweep(const fs::path &base) {
  std::error_code ignored;
  for (const fs::directory_entry &entry : fs::directory_iterator(base, fs::directory_options::skip_permission_denied, ignored)) {
    std::string name = entry.path().filename().string();
    pid_t pid = 0;
    if (!name.starts_with(kPrefix))
      continue;
    auto [end, error] = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), pid);
    if (error != std::errc() || *end != '-' || pid <= 0 || kill(pid, 0) == 0 || errno != ESRCH || !ownedByUs(entry.path()))
      continue;
    unlink((entry.path() / "s").c_str());
    rmdir(entry.path().c_str());
  }
}

} // namespace

SocketDirectory::SocketDirectory() {
  const char *runtime = std::getenv("XDG_RUNTIME_DIR");
  // A Unix socket's path has at most 107 characters, and the runtime directory may be gone or not ours to write (su, containers).
  fs::path base = runtime && *runtime && std::strlen(runtime) < 60 && access(runtime, W_OK) == 0 ? runtime : "/tmp";
  sweep(base);
  std::string name = (base / (std::string(kPrefix) + std::to_string(getpid()) + "-XXXXXX")).string();
  if (!mkdtemp(name.data())) // mode 0700
    throw GroupError("cannot make a directory for the worker socket in " + base.string() + ": " + std::strerror(errno) +
                     "; set XDG_RUNTIME_DIR to a directory you can write");
  directory_ = name;
  socket_ = directory_ + "/s";
}

SocketDirectory::~SocketDirectory() {
  unlink(socket_.c_str());
  rmdir(directory_.c_str());
}

} // namespace heddle
