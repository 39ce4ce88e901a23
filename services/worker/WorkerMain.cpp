//===- WorkerMain.cpp ----------------------------------------------------------------------------------------------===//
#include "services/worker/WorkerMain.h"
#include "runtime/comm/Host.h"
#include "runtime/host/Inherited.h"
#include "runtime/host/KeptFolder.h"
#include "runtime/host/Resources.h"
#include "runtime/plan/Frame.h"
#include "services/worker/Agreement.h"
#include "services/worker/WorkerLoop.h"
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace heddle {
namespace {

[[noreturn]] void die(const std::string &reason) {
  std::string line = "heddle-worker: " + reason + "\n"; // one write, so that lines of ranks do not mix
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, line.data(), line.size());
  _exit(1);
}

class Worker {
public:
  Worker(const WorkerArguments &arguments, Communicator &group) : arguments_(arguments), group_(group) {}

  void run(const OpenWorkerModel &open) {
    RankRecord self{getpid(), hostName(), {}, {}};
    WorkerModel model;
    try {
      model = open(arguments_);
      self.planKey = model.planKey;
    } catch (const std::exception &error) {
      self.error = error.what();
    }
    try {
      ranks_ = exchangeRecords(group_, self);
      if (std::string problem = disagreement(ranks_, arguments_.plan); !problem.empty())
        stopTogether(problem);
      group_.rank() == 0 ? lead(model) : model.engine(options(), group_)->follow();
    } catch (const std::exception &error) {
      die("rank " + std::to_string(group_.rank()) + " on host " + self.host + ": " + error.what());
    }
  }

private:
  /// All ranks know the problem; rank 0 tells it, and the others wait for mpirun to end them.
  [[noreturn]] void stopTogether(const std::string &problem) {
    if (group_.rank() == 0)
      die(problem);
    for (;;)
      pause();
  }

  EngineOptions options() const {
    EngineOptions options;
    options.threads = arguments_.threads ? arguments_.threads : defaultThreads(group_.ranksOnHost());
    options.context = arguments_.context;
    options.kvBytes = arguments_.kvBytes;
    if (arguments_.tokenBudget)
      options.tokenBudget = arguments_.tokenBudget;
    options.target = arguments_.target;
    return options;
  }

  void lead(const WorkerModel &model) {
    internal::Hello hello;
    hello.set_epoch(arguments_.epoch);
    hello.set_rank(0);
    hello.set_pid(getpid());
    hello.set_plan_key(model.planKey);
    for (size_t rank = 0; rank < ranks_.size(); ++rank) {
      internal::RankInfo &info = *hello.add_ranks();
      info.set_rank(static_cast<int64_t>(rank));
      info.set_host(ranks_[rank].host);
      info.set_pid(ranks_[rank].pid);
    }
    // Before the weights are read: the frontend sees a sign of life, and then how they come.
    WorkerLink link(arguments_.socket, hello, die, [this] { return group_.hostProgress(); });
    link.stepBegins();
    EngineOptions engineOptions = options();
    std::unique_ptr<Engine> engine = model.engine(engineOptions, group_);
    EngineAdapter adapter(*engine, model.vocabulary);
    internal::WorkerMessage ready;
    ready.mutable_ready()->set_context(engine->context());
    ready.mutable_ready()->set_call_sequences(engine->callSequences());
    ready.mutable_ready()->set_threads(engineOptions.threads);
    ready.mutable_ready()->set_cached_tokens(engine->stats().pages * kPageTokens);
    link.stepEnds();
    link.send(ready);
    runWorkerLoop(adapter, link);
    engine.reset(); // lets the followers go
    link.close();
  }

  const WorkerArguments &arguments_;
  Communicator &group_;
  std::vector<RankRecord> ranks_;
};

} // namespace

int workerMain(int argc, char **argv, const OpenWorkerModel &open) {
  putInheritedStateRight();
  std::span<char *const> arguments(argv + 1, static_cast<size_t>(argc > 0 ? argc - 1 : 0));
  if (!arguments.empty() && std::string_view(arguments[0]) == "--guard")
    return runGuarded(arguments.subspan(1));
  dieWithParent(); // the death of mpirun, or of its daemon on other hosts, is ours
  WorkerArguments parsed;
  try {
    parsed = parseWorkerArguments(arguments);
  } catch (const std::invalid_argument &error) {
    std::fprintf(stderr, "heddle-worker: %s\n", error.what());
    return 2;
  }
  if (std::string problem = inheritedProblem(); !problem.empty())
    die(problem);
  // On the frontend's host that keeps and watches; the folder, which Open MPI's daemon makes, is not there.
  const char *rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (std::error_code error; rank && !parsed.kept.empty() && std::filesystem::is_directory(parsed.kept, error))
    startKeeper(parsed.kept, std::string(rank) + " " + std::to_string(getpid()) + " " + hostName());
  try {
    std::unique_ptr<Communicator> group = makeMpiCommunicator(&argc, &argv);
    Worker(parsed, *group).run(open);
  } catch (const std::exception &error) {
    die(error.what());
  }
  return 0;
}

} // namespace heddle
