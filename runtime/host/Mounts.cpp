//===- Mounts.cpp - how a file system is mounted -------------------------------------------------------------------------===//
#include "runtime/host/Mounts.h"
#include <sys/statvfs.h>

namespace heddle {

bool mountedNoexec(const std::filesystem::path &path) {
  struct statvfs info{};
  return statvfs(path.c_str(), &info) == 0 && (info.f_flag & ST_NOEXEC) != 0;
}

} // namespace heddle
