//===- Bench.h - speed of an engine, as the peer script measures it -------------------------------------------------===//
#pragma once
#include "services/worker/EngineLike.h"
#include <vector>

namespace heddle {

struct BenchOptions {
  int64_t prompt = 512, tokens = 64, parallel = 1, repeat = 5; // as tests/bench/peers names them
  int64_t depth = 0;                                           // tokens in each context before decoding starts
  bool profile = false;                                        // one more round of each, kernel by kernel
  int64_t tokenBudget = EngineOptions{}.tokenBudget;           // the engine's
};
/// Tokens beyond depth and `tokens` that a request's context must hold: while other prompts are read, it decodes already.
int64_t decodeSlack(const BenchOptions &options);

struct BenchFigures { // one per repetition, the warm-up left out
  std::vector<double> prefillTokensPerSecond, decodeTokensPerSecond;
  std::vector<KernelTime> prefillKernels, decodeKernels; // of rank 0
};

/// Prefill: one prompt of random ids, time to its first token. Decode: `parallel` requests that start from one random id each (or
/// `depth` of them), timed from their first token to their last, all tokens added up. One warm-up round first. Ids are the same
/// in every run. The engine must be idle. `alive` is called after each step (the worker's heartbeat counts steps).
BenchFigures runBench(EngineLike &engine, const BenchOptions &options, const std::function<void()> &alive = [] {});

} // namespace heddle
