//===- Session.cpp - the engine in this process, or a group of ranks -----------------------------------------------------===//
#include "tools/heddle/Session.h"
#include "services/frontend/GroupSession.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Interrupt.h"
#include "tools/heddle/LocalSession.h"
#include "tools/heddle/Paths.h"

namespace heddle::tool {
namespace {

class RanksSession final : public Session {
public:
  RanksSession(const GroupOptions &options, const std::string &planKey, int64_t threads)
      : group_(options, planKey), threads_(threads) {}

  void generate(const Request &request, const std::function<bool(const Event &)> &event) override {
    group_.generate(
        request,
        [&](const Event &one) {
          if (one.stop == StopReason::Error)
            throw Failure(one.error);
          return event(one);
        },
        &Interruptible::interrupted);
  }
  void evaluate(const std::vector<int32_t> &tokens, int64_t chunk,
                const std::function<void(int64_t, const float *)> &row) override {
    group_.evaluate(tokens, chunk, row);
  }
  BenchFigures bench(const BenchOptions &options) override { return group_.bench(options); }
  int64_t threads() const override { return threads_; }

private:
  GroupSession group_;
  int64_t threads_;
};

} // namespace

GroupOptions groupOptions(const std::filesystem::path &plan, const RankOptions &ranks, const MemoryOptions &memory) {
  GroupOptions options;
  options.plan = plan;
  options.ranks = ranks.ranks;
  options.hostfile = ranks.hostfile;
  options.target = ranks.target;
  options.threads = ranks.threads;
  options.context = memory.context;
  options.kvBytes = memory.kvBytes;
  options.tokenBudget = ranks.tokenBudget;
  options.worker = workerBinary();
  options.verbose = ranks.verbose;
  return options;
}

std::unique_ptr<Session> openSession(const std::filesystem::path &plan, const RankOptions &ranks, const MemoryOptions &memory,
                                     std::shared_ptr<const Tokenizer> tokenizer) {
  if (!ranks.distributed())
    return openLocalSession(plan, ranks, memory, std::move(tokenizer));
  std::string key = Plan::open(plan).manifest().key;
  return std::make_unique<RanksSession>(groupOptions(plan, ranks, memory), key, ranks.threadsOrDefault());
}

} // namespace heddle::tool
