//===- EngineImpl.h - the parts of an engine -------------------------------------------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "runtime/engine/OutputText.h"
#include "runtime/engine/Sampler.h"
#include "runtime/engine/StepExecutor.h"
#include "runtime/scheduler/Scheduler.h"
#include <unordered_map>

namespace heddle {

/// What rank 0 decides for the group before anything is loaded.
struct EngineSettings {
  int64_t context, pages;
  int64_t tokenBudget, rows; // of a step: tokens, and requests that are sampled
  StepRoom room() const { return {tokenBudget, rows, context}; }
};

/// What ranks of a model take beside the KV cache.
struct ModelNeeds {
  int64_t context; // the longest that the model can have
  StateShapes kv;
  std::vector<uint64_t> weights; // bytes of each rank
  int64_t arenaBytesPerToken;
  std::vector<EntryOutputs> outputs; // of each entry
};

/// Checks the options and gives rank 0's settings to all ranks (collective). Throws std::invalid_argument on all ranks for
/// options out of range and for what does not fit into memory.
EngineSettings agree(const EngineOptions &options, const ModelNeeds &needs, Communicator &group);

/// Engine's state; see there for lifecycle and threads. Ranks other than 0 use the executor only.
class Engine::Impl {
public:
  Impl(const StepModel &model, const EngineSettings &settings, int64_t threads, Communicator &group, TextDecoderFactory text);
  ~Impl();

  void submit(Request request);
  void cancel(uint64_t request);
  bool idle() const { return running_.empty() && events_.empty(); }
  std::vector<Event> step();
  void follow();
  void evaluate(const std::vector<int32_t> &tokens, int64_t chunk, const std::function<void(int64_t, const float *)> &row);
  std::vector<EntryRows> call(const EntryCall &call);
  void fork(uint64_t parent, uint64_t child);
  void forget(uint64_t sequence);
  EngineStats stats() const;
  void startProfile() { executor_.startProfile(); }
  std::vector<KernelTime> endProfile() { return executor_.endProfile(); }
  void leaveStepsWhile(const std::atomic<bool> &flag) { executor_.leaveStepsWhile(flag); }
  int64_t context() const { return settings_.context; }
  int64_t callSequences() const { return settings_.rows; }

private:
  struct Running { // a request from submit to its last event
    Request request;
    KvCache::Sequence sequence; // its name in the KV cache
    uint64_t seed;
    std::vector<int32_t> known; // prompt and output
    int64_t computed = 0;       // of them, with keys and values in the cache
    int64_t cached = -1;        // of the prompt, taken over from earlier requests at the start; -1: it has not started
    OutputText text;
    bool finished = false; // its last event is made
  };

  Schedule plan(StepPlan &step); // decides, and moves pages accordingly
  Schedule decide();
  std::vector<int64_t> shareBeginnings();
  void leave(const Running &running, bool failed); // its pages, to later requests
  /// A step of the entry that gives logits, without tokens yet. Throws std::invalid_argument where there is none that continues
  /// texts.
  StepPlan logitsStep() const;
  void addSequence(StepPlan &step, KvCache::Sequence sequence, std::span<const int32_t> tokens, int64_t begin, bool allRows,
                   PageWork &work);
  void setPages(StepPlan &step, std::span<const KvCache::Sequence> sequences, PageWork work) const;
  const StepOutputs *execute(StepPlan &step);
  void update(const Schedule &schedule, const float *logits);
  void extend(Running &running, Sampler::Result &&sampled);
  StopReason stopReason(const Running &running, int32_t token) const;
  void finish(Running &running, Event &event);
  void failText(Running &running, Event &event, const std::exception &error);
  void checkTokens(const std::vector<int32_t> &tokens, const char *what) const;
  StepLimits limits() const;

  /// A sequence that its caller has named.
  struct Named {
    KvCache::Sequence sequence;   // its name in all caches
    int64_t computed = 0;         // positions in paged states, and steps of recurrent ones
    std::vector<int32_t> lengths; // by state: positions in a fixed one
  };
  Named &named(uint64_t sequence);
  bool actsOn(const ModelEntry &entry, std::initializer_list<StateKind> kinds) const;
  KvCache &pagesOf(int64_t state) { return pools_[static_cast<size_t>(state)] ? *pools_[static_cast<size_t>(state)] : cache_; }
  void checkCall(const EntryCall &call, const ModelEntry &entry);
  void takePages(StepPlan &step, const EntryCall &call, const ModelEntry &entry);

  StepModel model_;
  EngineSettings settings_;
  Communicator &group_;
  TextDecoderFactory text_;
  KvCache cache_;                               // of all paged states
  std::vector<std::unique_ptr<KvCache>> pools_; // by state: pages of a fixed or rows of a recurrent one, else null
  std::unordered_map<uint64_t, Named> named_;
  const StepLimits limits_;
  StepExecutor executor_;
  Sampler sampler_;
  std::vector<Running> running_; // in order of arrival
  std::vector<Event> events_;    // for the next step() to return
  KvCache::Sequence nextSequence_ = 0;
  uint64_t epoch_ = 0;
  bool broken_ = false; // a step threw: the group is out of step
  int64_t steps_ = 0, computedTokens_ = 0, preemptions_ = 0;
};

} // namespace heddle
