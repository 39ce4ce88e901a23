//===- Resources.cpp ---------------------------------------------------------------------------------------------------===//
#include "runtime/host/Resources.h"
#include "runtime/host/Cgroups.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <sched.h>
#include <stdexcept>
#include <sys/resource.h>
#include <unistd.h>

namespace heddle {
namespace {

constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();

/// Cores of this thread's affinity mask, also on machines with more than the 1,024 of a cpu_set_t; 0 when it cannot be read.
int64_t affinityCores() {
  for (int most = 1024; most <= 1 << 20; most *= 2) {
    std::unique_ptr<cpu_set_t, void (*)(cpu_set_t *)> set(CPU_ALLOC(most), [](cpu_set_t *s) { CPU_FREE(s); });
    size_t size = CPU_ALLOC_SIZE(most);
    if (set && sched_getaffinity(0, size, set.get()) == 0)
      return CPU_COUNT_S(size, set.get());
  }
  return 0;
}

/// The soft limit; kNone when there is none.
uint64_t softLimit(int resource) {
  rlimit limit{};
  return getrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur
                                                                                                             : kNone;
}

/// Files of "Key: NUMBER kB" lines, in bytes.
std::map<std::string, uint64_t> kilobytes(const std::filesystem::path &path) {
  std::map<std::string, uint64_t> values;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    size_t colon = line.find(':');
    if (colon != std::string::npos)
      values[line.substr(0, colon)] = std::strtoull(line.c_str() + colon + 1, nullptr, 10) * 1024;
  }
  return values;
}

uint64_t minus(uint64_t all, uint64_t taken) { return all - std::min(all, taken); }

std::string coresText(double cores) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g core%s", cores, cores == 1 ? "" : "s");
  return text;
}

} // namespace

Cores usableCores(const HostView &view) {
  Cores cores;
  int64_t online = view.machineCores ? view.machineCores : sysconf(_SC_NPROCESSORS_ONLN);
  int64_t mask = view.affinityCores ? view.affinityCores : affinityCores();
  cores.machine = std::max<int64_t>({1, online, mask});
  cores.usable = mask > 0 ? mask : cores.machine;
  if (cores.usable < cores.machine)
    cores.limit = "the CPU affinity of this process";
  if (auto quota = cpuQuota(view.root)) {
    auto allowed = static_cast<int64_t>(std::clamp(std::ceil(quota->cores - 0.05), 1.0, 1e6));
    if (allowed < cores.usable) {
      cores.usable = allowed;
      cores.limit = "a CPU quota of " + coresText(quota->cores) + " (" + quota->file.string() + ")";
    }
  }
  return cores;
}

std::string describe(const Cores &cores) {
  std::string of = cores.usable < cores.machine ? " of " + std::to_string(cores.machine) : "";
  return std::to_string(cores.usable) + of + (cores.machine == 1 ? " core" : " cores") +
         (cores.limit.empty() ? "" : ": " + cores.limit);
}

int64_t defaultThreads(int64_t ranksOnHost, const HostView &view) {
  return std::max<int64_t>(1, usableCores(view).usable / std::max<int64_t>(1, ranksOnHost));
}

Memory usableMemory(const HostView &view) {
  auto machine = kilobytes(view.root / "proc/meminfo");
  Memory memory;
  memory.total = machine["MemTotal"];
  memory.available = machine.contains("MemAvailable") ? machine["MemAvailable"] : machine["MemFree"] + machine["Cached"];
  if (memory.total == 0) { // no /proc
    memory.total = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    memory.available = static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  }
  auto limit = [&](uint64_t total, uint64_t available, const std::string &reason) {
    if (available < memory.available)
      memory.limit = reason;
    if (total < memory.total)
      memory.totalLimit = reason;
    memory.available = std::min(memory.available, available);
    memory.total = std::min(memory.total, total);
  };

  std::ifstream overcommit(view.root / "proc/sys/vm/overcommit_memory");
  if (int mode = 0; overcommit >> mode && mode == 2)
    limit(machine["CommitLimit"], minus(machine["CommitLimit"], machine["Committed_AS"]),
          "the kernel promises no more than " + formatBytes(static_cast<double>(machine["CommitLimit"])) +
              " (vm.overcommit_memory is 2)");
  for (const MemoryGroup &group : memoryGroups(view.root))
    limit(group.limit, minus(group.limit, group.used),
          "a memory limit of " + formatBytes(static_cast<double>(group.limit)) + " (" + group.file.string() + ")");
  memory.shared = memory.available;
  auto ownLimit = [&](uint64_t most, const char *taken, const std::string &how) {
    if (most != kNone)
      limit(most, minus(most, kilobytes(view.root / "proc/self/status")[taken]),
            "a limit of " + formatBytes(static_cast<double>(most)) + " on this process (" + how + ")");
  };
  ownLimit(view.addressLimit ? view.addressLimit : softLimit(RLIMIT_AS), "VmSize", "ulimit -v");
  ownLimit(view.dataLimit ? view.dataLimit : softLimit(RLIMIT_DATA), "VmData", "ulimit -d");
  return memory;
}

void requireMemory(uint64_t bytes, const std::string &what, const std::string &remedy) {
  Memory memory = usableMemory();
  if (bytes <= memory.available)
    return;
  throw std::runtime_error("no memory for " + what + ": " + formatBytes(static_cast<double>(bytes)) + " are needed and " +
                           formatBytes(static_cast<double>(memory.available)) + " available" +
                           (memory.limit.empty() ? "" : ", with " + memory.limit) + "; " + remedy);
}

std::string formatBytes(double bytes) {
  char text[32];
  if (bytes >= 1e9)
    std::snprintf(text, sizeof text, "%.2f GB", bytes / 1e9);
  else if (bytes >= 1e6)
    std::snprintf(text, sizeof text, "%.1f MB", bytes / 1e6);
  else
    std::snprintf(text, sizeof text, "%.0f kB", bytes / 1e3);
  return text;
}

} // namespace heddle
