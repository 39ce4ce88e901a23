//===- GroupOptions.cpp --------------------------------------------------------------------------------------------===//
#include "services/frontend/GroupOptions.h"
#include "runtime/comm/Host.h"
#include "runtime/engine/Engine.h"
#include "runtime/host/Resources.h"
#include "runtime/host/Threads.h"
#include <sys/resource.h>

namespace heddle {

// gRPC's threads and ours: stacks, and the heaps that the C library sets aside for them. A worker has hardly less.
constexpr uint64_t kFrontendBytes = 1'000'000'000;
constexpr uint64_t kMpiFileBytes = 16 << 20;
// gRPC's, those for texts, mpirun and its guard; of a worker: itself, gRPC's and MPI's.
constexpr int64_t kFrontendThreads = 48, kWorkerThreads = 8;

void checkGroupOptions(const GroupOptions &options) {
  auto within = [](const char *name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high)
      throw GroupError(std::string(name) + " must be from " + std::to_string(low) + " to " + std::to_string(high) + ", not " +
                       std::to_string(value));
  };
  within("--ranks", options.ranks, 1, 1024);
  within("--threads", options.threads, 0, 1024);
  within("--context", options.context, 0, int64_t{1} << 30);
  within("--token-budget", options.tokenBudget, 0, kMostTokenBudget);
  // A thread that cannot be started would end the process without a word of ours.
  if (Memory memory = usableMemory(); memory.available < memory.shared && memory.available < kFrontendBytes)
    throw GroupError("a group of workers needs " + formatBytes(kFrontendBytes) + " of addresses in this process, and " +
                     formatBytes(static_cast<double>(memory.available)) + " are available, with " + memory.limit +
                     "; raise it, or use `heddle run` with one rank");
  // Short of descriptors mpirun waits for ever and gRPC aborts.
  rlimit files{};
  rlim_t needed = 64 + 8 * static_cast<rlim_t>(options.ranks);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < needed)
    throw GroupError("a process may open only " + std::to_string(files.rlim_cur) + " files here, and a group of " +
                     std::to_string(options.ranks) + " ranks needs " + std::to_string(needed) +
                     "; raise the limit (ulimit -n, or LimitNOFILE of the service)");
  // Open MPI's own files need 4 MB; short of it mpirun ends with a page, or waits for ever.
  const uint64_t shared = kMpiFileBytes + (options.hostfile.empty() ? sharedBytes(options.ranks) : 0);
  if (rlimit size{}; getrlimit(RLIMIT_FSIZE, &size) == 0 && size.rlim_cur < shared)
    throw GroupError("a file may not grow beyond " + formatBytes(static_cast<double>(size.rlim_cur)) +
                     " here, and what the processes of a group share takes " + formatBytes(static_cast<double>(shared)) +
                     "; raise the limit (ulimit -f)");
  const bool here = options.hostfile.empty(); // else nobody knows yet how many of the ranks are
  const int64_t threads = options.threads ? options.threads : defaultThreads(options.ranks);
  try {
    requireThreads(kFrontendThreads + (here ? options.ranks * (kWorkerThreads + threads) : 0),
                   "a group of " + std::to_string(options.ranks) + (options.ranks == 1 ? " rank" : " ranks"),
                   options.ranks > 1 ? "give fewer --ranks or --threads" : "lower --threads");
  } catch (const std::runtime_error &error) {
    throw GroupError(error.what());
  }
  std::error_code error;
  if (!options.hostfile.empty() && !std::filesystem::is_regular_file(options.hostfile, error))
    throw GroupError("--hostfile " + options.hostfile.string() + " is no file; write one line a host, as \"node1 slots=1\"");
}

} // namespace heddle
