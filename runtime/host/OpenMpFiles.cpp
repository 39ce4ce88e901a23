//===- OpenMpFiles.cpp - what libomp leaves in /dev/shm ------------------------------------------------------------------===//
#include "runtime/host/OpenMpFiles.h"
#include <cerrno>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <string>
#include <string_view>
#include <unistd.h>

namespace heddle {

void removeOpenMpFiles() {
  constexpr std::string_view prefix = "__KMP_REGISTERED_LIB_";
  std::string suffix = "_" + std::to_string(getuid());
  std::error_code ignored;
  for (const auto &entry : std::filesystem::directory_iterator("/dev/shm", ignored)) {
    std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(suffix))
      continue;
    pid_t pid = 0;
    std::from_chars(name.data() + prefix.size(), name.data() + name.size(), pid);
    if (pid == getpid() || (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH))
      unlink(entry.path().c_str());
  }
}

} // namespace heddle
