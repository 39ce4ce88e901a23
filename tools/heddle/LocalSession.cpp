//===- LocalSession.cpp - one rank, its engine in this process ----------------------------------------------------------===//
#include "tools/heddle/LocalSession.h"
#include "runtime/comm/Communicator.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Interrupt.h"

namespace heddle::tool {
namespace {

class LocalSession final : public Session {
public:
  LocalSession(const std::filesystem::path &directory, const RankOptions &ranks, const MemoryOptions &memory,
               std::shared_ptr<const Tokenizer> tokenizer)
      : plan_(Plan::open(directory)), group_(makeSelfCommunicator()), threads_(ranks.threadsOrDefault()), ranks_(ranks),
        engine_(plan_, engineOptions(memory), *group_, std::move(tokenizer)), adapter_(engine_, plan_.manifest().vocabulary) {
    engine_.leaveStepsWhile(Interruptible::flag()); // a step of a long prompt takes many seconds
  }

  void generate(const Request &request, const std::function<bool(const Event &)> &callback) override {
    engine_.submit(request);
    bool wanted = true;
    auto giveUp = [&] {
      wanted = false;
      engine_.cancel(request.id);
    };
    while (!engine_.idle()) {
      if (wanted && Interruptible::interrupted())
        giveUp();
      for (const Event &event : engine_.step()) {
        if (event.request != request.id)
          continue;
        if (event.stop == StopReason::Error)
          throw Failure(event.error);
        bool last = event.stop != StopReason::None;
        if (wanted || last)
          if (!callback(event) && wanted && !last)
            giveUp();
      }
    }
  }

  void evaluate(const std::vector<int32_t> &tokens, int64_t chunk,
                const std::function<void(int64_t, const float *)> &row) override {
    engine_.evaluate(tokens, chunk, row);
  }

  std::vector<EntryRows> call(const EntryCall &call) override { return adapter_.call(call); }
  BenchFigures bench(const BenchOptions &options) override { return runBench(adapter_, options); }
  int64_t threads() const override { return threads_; }
  int64_t context() const override { return engine_.context(); }
  int64_t callSequences() const override { return engine_.callSequences(); }

private:
  EngineOptions engineOptions(const MemoryOptions &memory) const {
    EngineOptions options;
    options.threads = threads_;
    options.context = memory.context;
    options.kvBytes = memory.kvBytes;
    options.target = ranks_.target;
    options.tokenBudget = ranks_.tokenBudget;
    return options;
  }

  Plan plan_;
  std::unique_ptr<Communicator> group_;
  int64_t threads_;
  const RankOptions ranks_;
  Engine engine_;
  EngineAdapter adapter_;
};

} // namespace

std::unique_ptr<Session> openLocalSession(const std::filesystem::path &plan, const RankOptions &ranks,
                                          const MemoryOptions &memory, std::shared_ptr<const Tokenizer> tokenizer) {
  return std::make_unique<LocalSession>(plan, ranks, memory, std::move(tokenizer));
}

} // namespace heddle::tool
