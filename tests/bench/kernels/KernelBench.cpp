//===- KernelBench.cpp - each kernel by itself, as the compiler makes it ----------------------------------------------===//
//
// A model of one layer is compiled for this host for every weight format; a step's profile then says what a kernel took. Its
// weights stay in cache, so this is what the kernel can do, not what memory lets it: `heddle bench --profile` shows that on a
// real model.
//
//   kernel_bench [--benchmark_filter=product/q4_0] [other options of Google Benchmark]
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/engine/Engine.h"
#include "runtime/engine/StepProfile.h"
#include "tests/parity/steps/Compiled.h"
#include <algorithm>
#include <benchmark/benchmark.h>
#include <memory>
#include <omp.h>

using namespace heddle;
using namespace heddle::test;

namespace {

constexpr int64_t kContext = 4096 + 64;

/// One layer of width 1,024, compiled, with an engine over it. The last one made is kept: compiling takes a second.
struct Loaded {
  Loaded(Format format, KvType kvType) : format(format), kvType(kvType), model(config(format), kvType) {
    EngineOptions options;
    options.threads = omp_get_num_procs();
    options.context = kContext;
    engine = std::make_unique<Engine>(Plan::open(model.plan("", "")), options, *group);
  }
  static TinyConfig config(Format format) {
    TinyConfig c;
    c.width = 1024, c.layers = 1, c.heads = 16, c.kvHeads = 4, c.headDim = 64, c.feedForward = 2816, c.vocabulary = 512;
    c.weights = format, c.context = kContext;
    return c;
  }
  Format format;
  KvType kvType;
  CompiledModel model;
  std::unique_ptr<Communicator> group = makeSelfCommunicator();
  std::unique_ptr<Engine> engine;
};
Loaded &loaded(Format format, KvType kvType) {
  static std::unique_ptr<Loaded> last;
  if (!last || last->format != format || last->kvType != kvType)
    last = std::make_unique<Loaded>(format, kvType);
  return *last;
}

std::vector<int32_t> someTokens(int64_t count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<int32_t>(i * 37 % 500);
  return tokens;
}

/// The kernel's time for an iteration, and what it moved and computed for the counters.
void book(benchmark::State &state, const std::vector<KernelTime> &kernels, const char *name, double &bytes, double &operations) {
  auto kernel = std::ranges::find(kernels, name, &KernelTime::name);
  if (kernel == kernels.end())
    return state.SkipWithError("the step has no such kernel");
  state.SetIterationTime(kernel->seconds);
  bytes += kernel->bytes;
  operations += kernel->integerOperations + kernel->floatOperations;
}

void report(benchmark::State &state, double bytes, double operations) {
  state.counters["bytes/s"] = benchmark::Counter(bytes, benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
  state.counters["op/s"] = benchmark::Counter(operations, benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
}

/// 1,024 rows of 2,816 columns times `tokens` tokens.
void product(benchmark::State &state, Format format, int64_t tokens) {
  Engine &engine = *loaded(format, KvType::F16).engine;
  std::vector<int32_t> ids = someTokens(tokens);
  double bytes = 0, operations = 0;
  for (auto _ : state) {
    engine.startProfile();
    engine.evaluate(ids, tokens, [](int64_t, const float *) {});
    book(state, engine.endProfile(), "decoder_block.ffn_down", bytes, operations);
  }
  report(state, bytes, operations);
}

/// 16 query heads and 4 KV heads of 64: the attention of one new token over `depth` keys, eight times.
void decodeAttention(benchmark::State &state, KvType kvType, int64_t depth) {
  Engine &engine = *loaded(Format::Q4_0, kvType).engine;
  double bytes = 0, operations = 0;
  for (auto _ : state) {
    Request request{1, someTokens(depth), {}};
    request.sampling.maxTokens = 9;
    request.sampling.ignoreEnd = true;
    engine.submit(std::move(request));
    while (engine.step().empty())
      ; // the prompt
    engine.startProfile();
    while (!engine.idle())
      engine.step();
    book(state, engine.endProfile(), "decoder_block.attention", bytes, operations);
  }
  report(state, bytes, operations);
}

/// The attention of a prompt of 512 tokens.
void promptAttention(benchmark::State &state, KvType kvType) {
  Engine &engine = *loaded(Format::Q4_0, kvType).engine;
  std::vector<int32_t> ids = someTokens(512);
  double bytes = 0, operations = 0;
  for (auto _ : state) {
    engine.startProfile();
    engine.evaluate(ids, 512, [](int64_t, const float *) {});
    book(state, engine.endProfile(), "decoder_block.attention", bytes, operations);
  }
  report(state, bytes, operations);
}

} // namespace

int main(int argc, char **argv) {
  auto add = [](const std::string &name, double seconds, auto function, auto... arguments) {
    benchmark::RegisterBenchmark(name.c_str(), function, arguments...)->UseManualTime()->MinTime(seconds);
  };
  for (Format format : {Format::Q4_0, Format::Q4_1, Format::Q5_0, Format::Q5_1, Format::Q8_0, Format::Q4_K, Format::Q5_K,
                        Format::Q6_K, Format::F16, Format::BF16, Format::F32})
    for (int64_t tokens : {1, 8, 512})
      add("product/" + std::string(traits(format).name) + "/" + std::to_string(tokens), 0.05, product, format, tokens);
  for (KvType kvType : {KvType::F16, KvType::Q8}) {
    std::string name(kvTypeName(kvType));
    for (int64_t depth : {128, 4096})
      add("decode_attention/" + name + "/" + std::to_string(depth), 0.01, decodeAttention, kvType, depth);
    add("prompt_attention/" + name + "/512", 0.05, promptAttention, kvType);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 2;
  return benchmark::RunSpecifiedBenchmarks() > 0 ? 0 : 1; // 1: the filter matches none
}
