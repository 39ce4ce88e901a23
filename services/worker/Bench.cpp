//===- Bench.cpp ---------------------------------------------------------------------------------------------------===//
#include "services/worker/Bench.h"
#include <algorithm>
#include <chrono>
#include <random>
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

  double decode(int64_t tokens, int64_t parallel, int64_t depth, bool profile = false) {
    outputs_ = 0;
    for (int64_t i = 0; i < parallel; ++i)
      submit(std::max<int64_t>(1, depth), tokens + 1);
    while (!engine_.idle() && outputs_ < parallel) // the first token of each is not timed: it is the prompt's
      step();
    int64_t before = outputs_;
    if (profile)
      engine_.startProfile();
    auto start = Clock::now();
    while (!engine_.idle())
      step();
    if (outputs_ == before)
      throw std::runtime_error("the benchmark made no tokens; is --tokens above 0 and within the context?");
    return static_cast<double>(outputs_ - before) / secondsSince(start);
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
    engine_.submit(std::move(request));
  }

  void step() {
    for (const Event &event : engine_.step()) {
      if (event.stop == StopReason::Error)
        throw std::runtime_error(event.error);
      outputs_ += static_cast<int64_t>(event.tokens.size());
    }
    alive_();
  }

  EngineLike &engine_;
  const std::function<void()> &alive_;
  std::mt19937 random_{0};
  uint64_t id_ = uint64_t{1} << 62; // away from the ids that a frontend hands out
  int64_t outputs_ = 0;
};

} // namespace

BenchFigures runBench(EngineLike &engine, const BenchOptions &options, const std::function<void()> &alive) {
  if (options.prompt < 0 || options.tokens < 0 || options.depth < 0 || options.parallel < 1 || options.repeat < 1)
    throw std::invalid_argument("bench: prompt, tokens and depth must be at least 0, parallel and repeat at least 1");
  Rounds rounds(engine, alive);
  BenchFigures figures;
  for (int64_t i = 0; i <= options.repeat; ++i) {
    double prefill = options.prompt > 0 ? rounds.prefill(options.prompt) : 0;
    double decode = options.tokens > 0 ? rounds.decode(options.tokens, options.parallel, options.depth) : 0;
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
  if (options.profile && options.tokens > 0) {
    rounds.decode(options.tokens, options.parallel, options.depth, true);
    figures.decodeKernels = engine.endProfile();
  }
  return figures;
}

} // namespace heddle
