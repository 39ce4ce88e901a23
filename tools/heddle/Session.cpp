//===- Session.cpp - the engine in this process, or a group of ranks -----------------------------------------------------===//
#include "tools/heddle/Session.h"
#include "runtime/host/Resources.h"
#include "services/frontend/GroupSession.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Interrupt.h"
#include "tools/heddle/LocalSession.h"
#include "tools/heddle/Paths.h"
#include <iostream>

namespace heddle::tool {
namespace {

class RanksSession final : public Session {
public:
  RanksSession(const GroupOptions &options, const std::string &planKey) : group_(options, planKey) {}

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
  std::vector<EntryRows> call(const EntryCall &call) override { return group_.call(call); }
  BenchFigures bench(const BenchOptions &options) override { return group_.bench(options); }
  int64_t threads() const override { return group_.threads(); }
  int64_t context() const override { return group_.context(); }
  int64_t callSequences() const override { return group_.callSequences(); }

private:
  GroupSession group_;
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
  std::unique_ptr<Session> session;
  if (ranks.distributed())
    session = std::make_unique<RanksSession>(groupOptions(plan, ranks, memory), Plan::open(plan).manifest().key);
  else
    session = openLocalSession(plan, ranks, memory, std::move(tokenizer));
  if (ranks.verbose) {
    Cores cores = usableCores();
    std::cerr << "heddle: " << ranks.ranks << (ranks.ranks == 1 ? " rank of " : " ranks of ") << session->threads()
              << (session->threads() == 1 ? " thread" : " threads") << "; this host lets us use " << describe(cores) << "\n";
  }
  return session;
}

} // namespace heddle::tool
