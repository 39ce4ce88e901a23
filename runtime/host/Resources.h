//===- Resources.h - the cores and the memory that this process may use -----------------------------------------------===//
//
// The one place that says so: run, serve, workers, bench, eval, compile and doctor ask here.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace heddle {

/// What the kernel says by calls and by files; tests give others.
struct HostView {
  std::filesystem::path root = "/"; // before /proc and /sys
  int64_t machineCores = 0;         // 0: ask
  int64_t affinityCores = 0;        // 0: ask
  uint64_t addressLimit = 0;        // RLIMIT_AS: ask where 0
  uint64_t dataLimit = 0;           // RLIMIT_DATA, of private memory: ask where 0
};

struct Cores {
  int64_t usable = 1;  // at least 1
  int64_t machine = 1; // that are online
  std::string limit;   // why they are fewer, as "a CPU quota of 1.5 cores (/sys/fs/cgroup/cpu.max)"; empty when they are not
};
/// Affinity mask and CPU quotas, the tightest. A part of a core counts as one: with a quota of 1.5, two threads do 1.5 times the
/// work of one, and sleep together for the rest of each period; one thread would leave a third of the quota unused. A part below
/// a twentieth is no more than somebody's rounding.
Cores usableCores(const HostView &view = {});

/// "2 cores", "1 of 2 cores: a CPU quota of …".
std::string describe(const Cores &cores);

/// Threads of a rank when nobody says: the usable cores divided by the ranks of this host; at least 1.
int64_t defaultThreads(int64_t ranksOnHost, const HostView &view = {});

/// Bytes.
struct Memory {
  uint64_t total = 0;
  uint64_t available = 0; // that this process can take now without swapping or being killed
  uint64_t shared = 0;    // that it can take together with the other processes of its machine or control group; >= available
  // What limits `available` and `total`, as "a memory limit of 400 MB (/sys/fs/cgroup/memory.max)"; empty: the machine itself.
  std::string limit, totalLimit;
};
/// The machine's memory, limits of control groups, of the process (ulimit -v, -d), and of a kernel that promises no more than it
/// has (vm.overcommit_memory = 2): the tightest of each.
Memory usableMemory(const HostView &view = {});

/// Throws std::runtime_error, one line with both sizes, when `bytes` that will all be touched are not available now. `what` they
/// are for, `remedy` what to do.
void requireMemory(uint64_t bytes, const std::string &what, const std::string &remedy);

/// "1.50 GB", "400.0 MB", "12 kB": powers of 1000.
std::string formatBytes(double bytes);

} // namespace heddle
