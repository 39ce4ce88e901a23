//===- Host.h - what this host offers ----------------------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace heddle::tool {

/// Cores that this process may use (affinity mask and cgroup limit).
int64_t usableCores();

struct Memory {
  uint64_t total, available; // bytes
};
Memory hostMemory();

std::string cpuModel();             // "AMD EPYC", "unknown" where /proc does not say
std::string transparentHugePages(); // "always", "madvise", "never" or ""

/// Bytes a second that `threads` threads read together from memory, best of a few passes over a buffer larger than the caches.
double readBandwidth(int64_t threads);

} // namespace heddle::tool
