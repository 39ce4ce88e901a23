//===- SharedMemory.h - is there room where the ranks of a host share memory? ------------------------------------------===//
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace heddle {

/// Why `bytes` have no room in `folder`: one line with both sizes and the remedy, as "2 ranks of this host share 10.5 MB in …"
/// with `who` "2 ranks of this host share"; empty when they have. A page that does not fit there is a bus error at its first
/// write, so this must be known before. A folder that is not there or cannot be written is no reason: Open MPI then uses its
/// session folder.
std::string sharedMemoryShortage(const std::string &who, uint64_t bytes, const std::filesystem::path &folder = "/dev/shm",
                                 const std::string &otherwise = ", or use fewer ranks with more threads");

} // namespace heddle
