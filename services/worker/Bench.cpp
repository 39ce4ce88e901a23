//===- Bench.cpp ---------------------------------------------------------------------------------------------------===//
#include "services/worker/Bench.h"
#include <algorithm>
#include <chrono>
#include <random>
#include <set>
#include <stdexcept>

namespace heddle {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class Rounds {
public:
  Rounds(EngineLike &engine, const std::function<void()> &alive) : engine_(engine), alive_(alive) {}

  double prefill(int64_t length) {
    submit(length, 1);
    auto start = Clock::now();
    while (!engine_.idle())
      step();
    return static_cast<double>(length) / secondsSince(start);
  }

  /// With `kernels`, they are profiled.
  double decode(const BenchOptions &options, std::vector<KernelTime> *kernels = nullptr) {
    uint64_t first = id_ + 1;
    begun_.clear();
    for (int64_t i = 0; i < options.parallel; ++i)
      submit(std::max<int64_t>(1, options.depth), options.tokens + 1 + decodeSlack(options));
    while (!engine_.idle() && static_cast<int64_t>(begun_.size()) < options.parallel) // the first token of each is its prompt's
      step();
    if (kernels)
      engine_.startProfile();
    outputs_ = 0;
    auto start = Clock::now();
    for (int64_t i = 0; i < options.tokens; ++i) // all of them decode, and nothing else
      step();
    double seconds = secondsSince(start);
    bool together = outputs_ == options.tokens * options.parallel;
    if (kernels)
      *kernels = engine_.endProfile();
    for (uint64_t id = first; id <= id_; ++id)
      engine_.cancel(id);
    while (!engine_.idle())
      step();
    if (!together)
      throw std::runtime_error("the benchmark's requests did not decode together; the KV memory is too small for them");
    return static_cast<double>(options.tokens * options.parallel) / seconds;
  }

private:
  void submit(int64_t length, int64_t maxTokens) {
    // As the peer script: ids away from both ends of the vocabulary, where the special ones live.
    int64_t margin = engine_.vocabulary() > 400 ? 100 : 0;
    std::uniform_int_distribution<int32_t> pick(static_cast<int32_t>(margin),
                                                static_cast<int32_t>(engine_.vocabulary() - margin - 1));
    Request request{++id_, {}, {}};
    request.prompt.resize(static_cast<size_t>(length));
    std::generate(request.prompt.begin(), request.prompt.end(), [&] { return pick(random_); });
    request.sampling.maxTokens = maxTokens;
    request.sampling.ignoreEnd = true;
    request.sampling.seed = 0;
    request.reuse = false;
    engine_.submit(std::move(request));
  }

  void step() {
    for (const Event &event : engine_.step()) {
      if (event.stop == StopReason::Error)
        throw std::runtime_error(event.error);
      outputs_ += static_cast<int64_t>(event.tokens.size());
      if (!event.tokens.empty())
        begun_.insert(event.request);
    }
    alive_();
  }

  EngineLike &engine_;
  const std::function<void()> &alive_;
  std::mt19937 random_{0};
  uint64_t id_ = uint64_t{1} << 62; // away from the ids that a frontend hands out
  std::set<uint64_t> begun_;        // requests that gave a token
  int64_t outputs_ = 0;
};

} // namespace

int64_t decodeSlack(const BenchOptions &options) {
  // A step reads at least half of its token budget of prompts, however many decode in it.
  return options.parallel > 1 && options.depth > 1 ? options.parallel * (options.depth * 2 / options.tokenBudget + 2) : 0;
}

BenchFigures runBench(EngineLike &engine, const BenchOptions &options, const std::function<void()> &alive) {
  if (options.prompt < 0 || options.tokens < 0 || options.depth < 0 || options.parallel < 1 || options.repeat < 1)
    throw std::invalid_argument("bench: prompt, tokens and depth must be at least 0, parallel and repeat at least 1");
  Rounds rounds(engine, alive);
  BenchFigures figures;
  for (int64_t i = 0; i <= options.repeat; ++i) {
    double prefill = options.prompt > 0 ? rounds.prefill(options.prompt) : 0;
    double decode = options.tokens > 0 ? rounds.decode(options) : 0;
    if (i == 0)
      continue; // warm-up
    if (options.prompt > 0)
      figures.prefillTokensPerSecond.push_back(prefill);
    if (options.tokens > 0)
      figures.decodeTokensPerSecond.push_back(decode);
  }
  if (options.profile && options.prompt > 0) {
    engine.startProfile();
    rounds.prefill(options.prompt);
    figures.prefillKernels = engine.endProfile();
  }
  if (options.profile && options.tokens > 0)
    rounds.decode(options, &figures.decodeKernels);
  return figures;
}

} // namespace heddle
