//===- OpenMpFiles.cpp - what libomp leaves in /dev/shm ------------------------------------------------------------------===//
#include "runtime/host/OpenMpFiles.h"
#include "runtime/host/SharedMemory.h"
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unistd.h>

namespace heddle {
namespace {

constexpr uint64_t kPage = 4096; // what the library maps

void removeFiles(const char *folder) {
  constexpr std::string_view prefix = "__KMP_REGISTERED_LIB_";
  std::string suffix = "_" + std::to_string(getuid());
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(suffix))
      continue;
    pid_t pid = 0;
    std::from_chars(name.data() + prefix.size(), name.data() + name.size(), pid);
    if (pid == getpid() || (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH))
      unlink(entry->path().c_str());
  }
}

} // namespace

OpenMpStart::OpenMpStart() {
  if (std::string shortage = sharedMemoryShortage("OpenMP needs", kPage, "/dev/shm", ""); !shortage.empty())
    throw std::runtime_error(shortage);
  if (access("/dev/shm", W_OK) == 0)
    return;
  errors_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC); errors_ >= 0 && nowhere >= 0) {
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
  }
}

OpenMpStart::~OpenMpStart() {
  if (errors_ >= 0) {
    dup2(errors_, STDERR_FILENO);
    close(errors_);
  }
  for (const char *folder : {"/dev/shm", "/tmp"})
    removeFiles(folder);
}

} // namespace heddle
