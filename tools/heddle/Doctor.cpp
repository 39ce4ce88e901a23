//===- Doctor.cpp - heddle doctor: what this host offers, what is missing, how to fix it --------------------------------===//
#include "runtime/comm/Host.h"
#include "runtime/host/Mounts.h"
#include "runtime/host/Resources.h"
#include "runtime/host/SharedMemory.h"
#include "runtime/plan/PlanCache.h"
#include "runtime/plan/Targets.h"
#include "services/frontend/GroupOptions.h"
#include "services/frontend/SocketDirectory.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Host.h"
#include "tools/heddle/HostPeaks.h"
#include "tools/heddle/KnownModels.h"
#include "tools/heddle/Paths.h"
#include "tools/heddle/Process.h"
#include "tools/heddle/Progress.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace heddle::tool {
namespace fs = std::filesystem;

namespace {
/// Missing: a command of Heddle will not work. Slow: all works, but not at its best.
enum class State { Good, Slow, Missing };
struct Finding {
  std::string what, found = {};
  State state = State::Good;
  std::string fix = {};                                              // what to do, unless good
  nlohmann::ordered_json numbers = nlohmann::ordered_json::object(); // of the JSON report
};
} // namespace

static std::string join(const std::vector<std::string> &words) {
  std::string all;
  for (const std::string &word : words)
    all += (all.empty() ? "" : " ") + word;
  return all;
}

static Finding checkTarget() {
  const char *better = nullptr; // than the one looked at
  for (const char *target : kTargets) {
    if (missingForTarget(target).empty())
      return {"target",
              target + (better ? std::string(" (for ") + better + " it lacks " + join(missingForTarget(better)) + ")" : "")};
    better = target;
  }
  return {"target", "none: lacks " + join(missingForTarget("x86-64-v3")), State::Missing, "use a CPU with AVX2 and FMA"};
}

static Finding checkCores(const Cores &cores) {
  std::string found = std::to_string(cores.usable);
  if (cores.usable < cores.machine)
    found += " of " + std::to_string(cores.machine) + ": " + cores.limit;
  return {
      "cores", found, State::Good, "", {{"usable", cores.usable}, {"machine", cores.machine}, {"threads", defaultThreads(1)}}};
}

static Finding checkMemory() {
  Memory memory = usableMemory();
  std::string limit = memory.totalLimit.empty() ? "" : ": " + memory.totalLimit;
  Finding finding{"memory",
                  formatBytes(double(memory.total)) + ", " + formatBytes(double(memory.available)) + " available" + limit};
  finding.numbers = {{"total_bytes", memory.total}, {"available_bytes", memory.available}};
  if (memory.available < (uint64_t(1) << 30)) {
    finding.state = State::Slow;
    finding.fix = "under 1 GiB is free: end other programs, or choose a small model and --kv-memory";
  }
  return finding;
}

static int64_t ranksThatFit(uint64_t sharedMemory) {
  int64_t ranks = 1; // which shares nothing
  while (ranks < 1024 && sharedBytes(ranks + 1) <= sharedMemory)
    ++ranks;
  return ranks;
}

/// Where ranks share memory; one rank needs none.
static Finding checkSharedMemory() {
  constexpr const char *folder = "/dev/shm";
  std::error_code error;
  fs::space_info space = fs::space(folder, error);
  if (error || access(folder, W_OK) != 0)
    return {"shared memory",
            std::string(folder) + (error ? " is not there" : " cannot be written") + ": ranks share files in TMPDIR", State::Slow,
            std::string("mount a tmpfs on ") + folder + ", or give this user the right to write there"};
  Finding finding{"shared memory", std::string(folder) + ", " + formatBytes(double(space.available)) + " free of " +
                                       formatBytes(double(space.capacity)) + ", enough for " +
                                       std::to_string(ranksThatFit(space.available)) + " ranks"};
  finding.numbers = {{"total_bytes", space.capacity}, {"available_bytes", space.available}};
  if (std::string problem = sharedMemoryShortage("2 ranks share", sharedBytes(2)); !problem.empty())
    finding.state = State::Slow, finding.fix = problem;
  return finding;
}

static Finding checkHugePages() {
  std::string mode = transparentHugePages();
  if (mode == "always" || mode == "madvise")
    return {"huge pages", "transparent, " + mode};
  return {"huge pages", mode.empty() ? "not known to this kernel" : mode, State::Slow,
          "weights read up to a third slower: as root, echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"};
}

static Finding checkLauncher() {
  try {
    ChildResult result = runChild({"mpirun", "--version"});
    std::string first = result.output.substr(0, result.output.find('\n'));
    if (result.status == 0)
      return {"MPI launcher", first};
    return {"MPI launcher", "mpirun fails: " + first, State::Missing, "reinstall openmpi-bin"};
  } catch (const Failure &) {
    return {"MPI launcher", "mpirun is not on PATH", State::Missing,
            "needed by serve and by --ranks above 1: install openmpi-bin (tools/setup)"};
  }
}

static Finding checkWorker() {
  fs::path worker = workerBinary();
  if (access(worker.c_str(), X_OK) == 0)
    return {"worker", worker.string()};
  return {"worker", "no " + worker.string(), State::Missing, "build it: cmake --build --preset release --target heddle-worker"};
}

static Finding checkCompiler() {
  fs::path compiler = compilerLibrary();
  if (access(compiler.c_str(), R_OK) == 0)
    return {"compiler", compiler.string()};
  return {"compiler", "no " + compiler.string(), State::Missing,
          "build it: cmake --build --preset release --target heddle-compiler"};
}

/// The nearest existing parent decides: the folder itself is made when it is first needed.
static Finding checkFolder(const std::string &what, fs::path (*where)(), const std::string &variable, bool holdsCode) {
  fs::path folder;
  try {
    folder = where();
  } catch (const std::exception &error) { // no HOME
    return {what, error.what(), State::Missing, "set " + variable + " to a writable folder"};
  }
  fs::path existing = folder;
  std::error_code error;
  while (!fs::exists(existing, error) && existing.has_relative_path())
    existing = existing.parent_path();
  if (!fs::is_directory(existing, error) || access(existing.c_str(), W_OK | X_OK) != 0)
    return {what, folder.string() + " cannot be written", State::Missing, "set " + variable + " to a writable folder"};
  if (holdsCode && mountedNoexec(existing))
    return {what, folder.string() + " is on a file system that is mounted noexec: no plan in it can be run", State::Missing,
            "set " + variable + " to a folder on another, or compile with -o DIR elsewhere"};
  fs::space_info space = fs::space(existing, error);
  Finding finding{what, folder.string() + ", " + formatBytes(double(space.available)) + " free"};
  if (!error && space.available < 1'000'000'000)
    finding.state = State::Slow, finding.fix = "little space for models and plans: free some, or set " + variable;
  return finding;
}

/// Of the workers' socket and of mpirun, for serve and --ranks above 1.
static Finding checkTemporary() {
  try {
    return {"temporary files", fs::path(SocketDirectory().socket()).parent_path().parent_path().string()};
  } catch (const GroupError &error) {
    return {"temporary files", error.what(), State::Missing, "needed by serve and by --ranks above 1: set TMPDIR"};
  }
}

static Finding checkBandwidth(int64_t cores) {
  if (usableMemory().available < (uint64_t(64) << 20))
    return {"read bandwidth", "not measured", State::Slow, "too little memory is free to measure in"};
  double bandwidth = 0;
  try {
    ReadBandwidth reading(cores);
    for (int pass = 0; pass < 4; ++pass)
      bandwidth = std::max(bandwidth, reading.once());
  } catch (const std::runtime_error &error) {
    return {"read bandwidth", "not measured", State::Missing, error.what()};
  }
  return {"read bandwidth", formatBytes(bandwidth) + "/s with " + std::to_string(cores) +
                                " threads; it bounds decoding: tokens a second <= bandwidth / bytes of the weights"};
}

static int doctor(bool json) {
  Cores cores = usableCores();
  std::vector<Finding> findings = {{"CPU", cpuModel()},
                                   checkTarget(),
                                   checkCores(cores),
                                   checkMemory(),
                                   checkSharedMemory(),
                                   checkHugePages(),
                                   checkLauncher(),
                                   checkCompiler(),
                                   checkWorker(),
                                   checkFolder("plan cache", PlanCache::defaultFolder, "XDG_CACHE_HOME", true),
                                   checkFolder("models", modelsDirectory, "XDG_DATA_HOME", false),
                                   checkTemporary(),
                                   checkBandwidth(cores.usable)};
  bool missing = false;
  nlohmann::ordered_json report = nlohmann::ordered_json::array();
  const char *const names[] = {"ok", "slow", "missing"};
  for (const Finding &finding : findings) {
    const char *state = names[int(finding.state)];
    missing |= finding.state == State::Missing;
    nlohmann::ordered_json entry = {{"what", finding.what}, {"state", state}, {"found", finding.found}, {"fix", finding.fix}};
    entry.update(finding.numbers);
    report.push_back(std::move(entry));
    if (json)
      continue;
    std::cout << std::left << std::setw(9) << state << std::setw(16) << finding.what << finding.found << "\n";
    if (!finding.fix.empty())
      std::cout << std::string(25, ' ') << "-> " << finding.fix << "\n";
  }
  if (json)
    std::cout << nlohmann::ordered_json{{"ready", !missing}, {"checks", report}}.dump() << "\n";
  return missing ? 1 : 0;
}

void addDoctor(CLI::App &app, Action &action) {
  auto json = std::make_shared<bool>(false);
  CLI::App *command = app.add_subcommand(
      "doctor", "Say what this host offers, what is missing and how to fix it (exit status 1 if anything is missing)");
  command->add_flag("--json", *json, "Print one JSON object");
  command->callback([json, &action] { action = [json] { return doctor(*json); }; });
}

} // namespace heddle::tool
