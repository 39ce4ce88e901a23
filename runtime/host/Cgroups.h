//===- Cgroups.h - limits of the control groups that this process is in -----------------------------------------------===//
//
// Version 1, version 2, and both side by side. A limit of any group above the process's own binds it too, so all of them are
// read, from the process's own up to the mount. The kernel's files are hostile to assumptions: in a container the path of
// /proc/self/cgroup may be one of the host that is not mounted here, or the mount may show only a part of the tree. What is not
// there, or is no number, limits nothing.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace heddle {

struct CpuQuota {
  double cores;               // > 0
  std::filesystem::path file; // that says so
};
/// The tightest quota. `root` stands before /proc and /sys (tests).
std::optional<CpuQuota> cpuQuota(const std::filesystem::path &root = "/");

struct MemoryGroup {
  uint64_t limit;             // bytes
  uint64_t used;              // bytes that the kernel cannot take back: without cached files
  std::filesystem::path file; // that gives the limit
};
/// Every group with a limit, the process's own first.
std::vector<MemoryGroup> memoryGroups(const std::filesystem::path &root = "/");

} // namespace heddle
