//===- SharedMemory.cpp ------------------------------------------------------------------------------------------------===//
#include "runtime/host/SharedMemory.h"
#include "runtime/host/Resources.h"
#include <sys/statvfs.h>
#include <unistd.h>

namespace heddle {

std::string sharedMemoryShortage(const std::string &who, uint64_t bytes, const std::filesystem::path &folder,
                                 const std::string &otherwise) {
  struct statvfs space{};
  if (access(folder.c_str(), W_OK) != 0 || statvfs(folder.c_str(), &space) != 0)
    return {};
  uint64_t there = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
  if (there >= bytes)
    return {};
  double all = static_cast<double>(space.f_blocks) * static_cast<double>(space.f_frsize);
  return who + " " + formatBytes(static_cast<double>(bytes)) + " in " + folder.string() + ", where " +
         formatBytes(static_cast<double>(there)) + " of " + formatBytes(all) +
         " are free; make it larger (docker run --shm-size 1g; mount -o remount,size=1g " + folder.string() + ")" + otherwise;
}

} // namespace heddle
