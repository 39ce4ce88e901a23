//===- Cgroups.cpp -----------------------------------------------------------------------------------------------------===//
#include "runtime/host/Cgroups.h"
#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>

namespace heddle {
namespace {

namespace fs = std::filesystem;

/// `path` is absolute; a test's root may be another than "/".
fs::path below(const fs::path &root, const fs::path &path) { return root / path.relative_path(); }

std::string readFile(const fs::path &file) {
  std::ifstream in(file);
  std::ostringstream text;
  if (in)
    text << in.rdbuf();
  return text.str();
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::vector<std::string> words(const std::string &text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;)
    out.push_back(word);
  return out;
}

/// The number that is all of a file; none for "max", −1 and whatever else.
std::optional<uint64_t> numberIn(const fs::path &file) {
  std::vector<std::string> all = words(readFile(file));
  return all.size() == 1 ? number(all[0]) : std::nullopt;
}

/// Is `word` one of `list`, which commas separate?
bool lists(std::string_view list, std::string_view word) {
  while (true) {
    size_t comma = list.find(',');
    if (list.substr(0, comma) == word)
      return true;
    if (comma == std::string_view::npos)
      return false;
    list.remove_prefix(comma + 1);
  }
}

/// mountinfo writes a space, tab, newline and backslash as \040 and so on.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    auto digit = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7' ? text[at] - '0' : -1; };
    if (text[i] == '\\' && digit(i + 1) >= 0 && digit(i + 2) >= 0 && digit(i + 3) >= 0) {
      out += static_cast<char>(digit(i + 1) * 64 + digit(i + 2) * 8 + digit(i + 3));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// Where a hierarchy is mounted, and which of its groups the mount shows as its top.
struct Mount {
  fs::path top, point;
};

/// Of a version 1 controller, or of version 2 when it is empty.
std::vector<Mount> mountsOf(const fs::path &root, std::string_view controller) {
  std::vector<Mount> mounts;
  std::istringstream lines(readFile(below(root, "/proc/self/mountinfo")));
  for (std::string line; std::getline(lines, line);) {
    // id parent device top point options [fields…] - type source options
    std::vector<std::string> fields = words(line);
    auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || fields.end() - dash < 2)
      continue;
    bool wanted =
        controller.empty() ? dash[1] == "cgroup2" : dash[1] == "cgroup" && fields.end() - dash > 3 && lists(dash[3], controller);
    if (wanted)
      mounts.push_back({unescape(fields[3]), unescape(fields[4])});
  }
  // The usual places, where mountinfo is not to be had or tells of something that was mounted over.
  if (controller.empty()) {
    mounts.push_back({"/", "/sys/fs/cgroup"});
    mounts.push_back({"/", "/sys/fs/cgroup/unified"});
  } else {
    mounts.push_back({"/", fs::path("/sys/fs/cgroup") / controller});
    if (controller == "cpu")
      for (const char *name : {"cpu,cpuacct", "cpuacct,cpu"})
        mounts.push_back({"/", fs::path("/sys/fs/cgroup") / name});
  }
  return mounts;
}

/// The process's group in the hierarchy; "/" when nobody says.
fs::path groupOf(const fs::path &root, std::string_view controller) {
  std::istringstream lines(readFile(below(root, "/proc/self/cgroup")));
  for (std::string line; std::getline(lines, line);) { // id:controllers:path
    size_t first = line.find(':'), second = line.find(':', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos)
      continue;
    std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    bool wanted = controller.empty() ? line.starts_with("0:") && controllers.empty() : lists(controllers, controller);
    if (!wanted)
      continue;
    fs::path path = line.substr(second + 1);
    // "/../x" lies outside of this process's namespace, and is not mounted here: the mount's top is what there is.
    bool outside = std::find(path.begin(), path.end(), "..") != path.end();
    return path.is_absolute() && !outside ? path.lexically_normal() : "/";
  }
  return "/";
}

/// Folders of the process's own group and all above it, as far as they are mounted here, own first. Some may not exist.
std::vector<fs::path> groupFolders(const fs::path &root, std::string_view controller) {
  fs::path group = groupOf(root, controller);
  std::vector<fs::path> folders;
  for (const Mount &mount : mountsOf(root, controller)) {
    fs::path rest = group.lexically_relative(mount.top.lexically_normal());
    if (rest.empty() || *rest.begin() == ".." || rest == ".")
      rest.clear(); // the mount's top is the process's own group, or a part of the tree that is not above it
    for (;; rest = rest.parent_path()) {
      fs::path folder = below(root, rest.empty() ? mount.point : mount.point / rest);
      if (std::find(folders.begin(), folders.end(), folder) == folders.end())
        folders.push_back(folder);
      if (rest.empty())
        break;
    }
  }
  return folders;
}

/// "KEY VALUE" lines added up, of the keys that are wanted.
uint64_t sumOf(const fs::path &file, std::initializer_list<std::string_view> keys) {
  std::istringstream lines(readFile(file));
  uint64_t sum = 0;
  std::string key, value;
  while (lines >> key >> value)
    if (std::find(keys.begin(), keys.end(), key) != keys.end())
      sum += number(value).value_or(0);
  return sum;
}

uint64_t without(uint64_t used, uint64_t reclaimable) { return used - std::min(used, reclaimable); }

} // namespace

std::optional<CpuQuota> cpuQuota(const fs::path &root) {
  std::optional<CpuQuota> tightest;
  auto take = [&](std::optional<uint64_t> quota, std::optional<uint64_t> period, const fs::path &file) {
    if (!quota || !period || *quota == 0 || *period == 0)
      return;
    double cores = static_cast<double>(*quota) / static_cast<double>(*period);
    if (!tightest || cores < tightest->cores)
      tightest = {cores, file};
  };
  for (const fs::path &folder : groupFolders(root, "")) {
    std::vector<std::string> fields = words(readFile(folder / "cpu.max"));
    if (!fields.empty())
      take(number(fields[0]), fields.size() > 1 ? number(fields[1]) : 100000, folder / "cpu.max");
  }
  for (const fs::path &folder : groupFolders(root, "cpu"))
    take(numberIn(folder / "cpu.cfs_quota_us"), numberIn(folder / "cpu.cfs_period_us"), folder / "cpu.cfs_quota_us");
  return tightest;
}

std::vector<MemoryGroup> memoryGroups(const fs::path &root) {
  constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();
  std::vector<MemoryGroup> groups;
  for (const fs::path &folder : groupFolders(root, "")) {
    uint64_t most = numberIn(folder / "memory.max").value_or(kNone), high = numberIn(folder / "memory.high").value_or(kNone);
    if (std::min(most, high) == kNone)
      continue;
    // Above `high` a group is not killed but made to crawl.
    uint64_t cached = sumOf(folder / "memory.stat", {"active_file", "inactive_file", "slab_reclaimable"});
    groups.push_back({std::min(most, high), without(numberIn(folder / "memory.current").value_or(0), cached),
                      folder / (most <= high ? "memory.max" : "memory.high")});
  }
  for (const fs::path &folder : groupFolders(root, "memory")) {
    uint64_t limit = numberIn(folder / "memory.limit_in_bytes").value_or(kNone);
    // A container sees no group above its own, but the kernel tells of their limits.
    if (uint64_t above = sumOf(folder / "memory.stat", {"hierarchical_memory_limit"}))
      limit = std::min(limit, above);
    if (limit >= kNone / 4)
      continue; // "no limit" is 2^63 less a page
    uint64_t cached = sumOf(folder / "memory.stat", {"total_active_file", "total_inactive_file"});
    groups.push_back(
        {limit, without(numberIn(folder / "memory.usage_in_bytes").value_or(0), cached), folder / "memory.limit_in_bytes"});
  }
  return groups;
}

} // namespace heddle
