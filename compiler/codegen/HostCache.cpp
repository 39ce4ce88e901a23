//===- HostCache.cpp - how much cache a thread has for itself --------------------------------------------------------===//
#include "compiler/Compile.h"
#include "compiler/Passes.h"
#include <fstream>
#include <unistd.h>

namespace heddle {
namespace {

/// How many CPUs a list of the kernel's names: "0-1,8" names three. At least 1.
int64_t countCpus(const std::string &list) {
  int64_t count = 0;
  llvm::SmallVector<llvm::StringRef> parts;
  llvm::StringRef(list).split(parts, ',');
  for (llvm::StringRef part : parts) {
    auto [first, last] = part.split('-');
    int64_t from = 0, to = 0;
    if (!first.getAsInteger(10, from))
      count += last.empty() || last.getAsInteger(10, to) ? 1 : to - from + 1;
  }
  return std::max<int64_t>(1, count);
}

} // namespace

int64_t hostCacheBytes() {
  long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); // 0 where a virtual machine hides it
  if (bytes <= 0)
    return LoopShape().cacheBytes;
  std::string sharers; // two hardware threads of a core, or a cluster of small cores
  std::ifstream("/sys/devices/system/cpu/cpu0/cache/index2/shared_cpu_list") >> sharers;
  return bytes / countCpus(sharers);
}

} // namespace heddle
