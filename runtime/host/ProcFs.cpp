//===- ProcFs.cpp --------------------------------------------------------------------------------------------------===//
#include "runtime/host/ProcFs.h"
#include <algorithm>
#include <charconv>
#include <climits>
#include <dirent.h>
#include <fstream>
#include <memory>
#include <sstream>
#include <unistd.h>

namespace heddle {
namespace {

/// What there is to read: nothing of a process that ends meanwhile (an istreambuf_iterator would throw its read error).
std::string readAll(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

} // namespace

std::vector<pid_t> processesOf(std::string_view folder) {
  // Variables stand one after another, each ended by a zero; so one with a zero before all of them begins like any other.
  const std::string begin = std::string(1, '\0') + std::string(kFolderMark) + "=";
  auto belongs = [&](const std::string &environment) {
    size_t at = environment.find(begin);
    if (at == std::string::npos)
      return false;
    std::string_view value = std::string_view(environment).substr(at + begin.size());
    return value.substr(0, value.find('\0')).find(folder) != std::string_view::npos;
  };

  std::vector<pid_t> found;
  std::unique_ptr<DIR, int (*)(DIR *)> proc(opendir("/proc"), closedir);
  while (dirent *entry = proc ? readdir(proc.get()) : nullptr) {
    std::string_view name = entry->d_name;
    pid_t pid = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size() || pid == getpid())
      continue;
    if (belongs('\0' + readAll("/proc/" + std::string(name) + "/environ")))
      found.push_back(pid);
  }
  return found;
}

char processState(pid_t pid) {
  std::string stat = readAll("/proc/" + std::to_string(pid) + "/stat");
  size_t close = stat.rfind(") "); // the name before it may hold anything
  return close == std::string::npos || close + 2 >= stat.size() ? 0 : stat[close + 2];
}

std::chrono::nanoseconds processorTime(const std::vector<pid_t> &processes) {
  int64_t ticks = 0;
  for (pid_t pid : processes) {
    std::string stat = readAll("/proc/" + std::to_string(pid) + "/stat");
    size_t close = stat.rfind(") ");
    if (close == std::string::npos)
      continue;
    std::istringstream fields(stat.substr(close + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) // state to cmajflt
      fields >> skipped;
    int64_t user = 0, system = 0;
    fields >> user >> system;
    ticks += user + system;
  }
  return std::chrono::nanoseconds(1'000'000'000 / std::max<int64_t>(1, sysconf(_SC_CLK_TCK)) * ticks);
}

std::string localHostName() {
  char name[HOST_NAME_MAX + 1] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

} // namespace heddle
