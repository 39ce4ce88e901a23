//===- HostCache.cpp -----------------------------------------------------------------------------------------------===//
#include "runtime/plan/HostCache.h"
#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

namespace heddle {
namespace {

/// The number that `text` begins with, or `otherwise`.
int64_t numberOf(const std::string &text, int64_t otherwise) {
  int64_t number = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// How many CPUs a list of the kernel's names: "0-1,8" names three. At least 1.
int64_t countCpus(const std::string &list) {
  int64_t count = 0;
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    size_t dash = part.find('-');
    int64_t first = numberOf(part, 0);
    count += 1 + (dash == std::string::npos ? 0 : numberOf(part.substr(dash + 1), first) - first);
  }
  return std::max<int64_t>(1, count);
}

} // namespace

int64_t hostPrefetchBytes() {
  // On Zen 4 AVX-512 code lost by it, and AVX2 code took 1.04 to 1.14 times as long with 1 KiB, 3 and 8 being no better.
  __builtin_cpu_init();
  bool zen4 = __builtin_cpu_is("amdfam19h") && __builtin_cpu_supports("avx512f"); // of that family Zen 3 has no AVX-512
  return zen4 ? 0 : kUsualPrefetchBytes;
}

int64_t hostCacheBytes() {
  long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); // 0 where a virtual machine hides it
  if (bytes <= 0)
    return kUsualCacheBytes;
  std::string sharers; // two hardware threads of a core, or a cluster of small cores
  std::ifstream("/sys/devices/system/cpu/cpu0/cache/index2/shared_cpu_list") >> sharers;
  return bytes / countCpus(sharers);
}

} // namespace heddle
