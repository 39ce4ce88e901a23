//===- KernelBench.cpp - each kernel by itself, as the compiler makes it ----------------------------------------------===//
//
// product, decode_attention, prompt_attention: a model of one layer is compiled for every weight format and every target of this
// host; a step's profile then says what a kernel took. Its weights mostly stay in cache, so this is what the kernel can do, not
// what memory lets it.
//
// decode_from_memory: a model of 256 MiB and more, whose weights come from memory at every token (unless the last-level cache is
// that large). `of_limit` is the time that
// memory alone would take to give the file's tensor bytes, at the bandwidth measured right before and after, over the time of
// whole decode steps; the median of 15 times 8 steps.
//
// encode: the quantisers.
//
//   kernel_bench [--benchmark_filter=product/q4_0] [other options of Google Benchmark]
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/engine/Engine.h"
#include "runtime/engine/StepProfile.h"
#include "runtime/plan/Targets.h"
#include "runtime/quant/Encode.h"
#include "tests/parity/steps/Compiled.h"
#include "tools/heddle/HostPeaks.h"
#include <algorithm>
#include <benchmark/benchmark.h>
#include <chrono>
#include <memory>
#include <omp.h>
#include <random>

using namespace heddle;
using namespace heddle::test;

namespace {

/// One layer of width 1,024.
TinyConfig oneLayer(Format format) {
  TinyConfig c;
  c.width = 1024, c.layers = 1, c.heads = 16, c.kvHeads = 4, c.headDim = 64, c.feedForward = 2816, c.vocabulary = 512;
  c.weights = format, c.context = 4096 + 64;
  return c;
}
/// Layers of width 2,048 and, together, at least 256 MiB.
TinyConfig large(Format format) {
  TinyConfig c;
  c.width = 2048, c.heads = 32, c.kvHeads = 4, c.headDim = 64, c.feedForward = 5632, c.vocabulary = 512;
  c.weights = format, c.context = 128;
  int64_t layer = traits(format).rowBytes(c.width) * (2 * c.width + 2 * c.kvHeads * c.headDim + 2 * c.feedForward) +
                  traits(format).rowBytes(c.feedForward) * c.width;
  c.layers = (256 << 20) / layer + 1;
  return c;
}

/// A model, compiled, with an engine over it. The last one made is kept: making it takes a second or more.
struct Loaded {
  using Shape = TinyConfig (*)(Format);
  Loaded(Shape shape, Format format, KvType kvType, const std::string &target)
      : shape(shape), format(format), kvType(kvType), target(target), model(shape(format), kvType) {
    EngineOptions options;
    options.threads = omp_get_num_procs();
    options.context = model.model().config.context;
    options.target = target;
    engine = std::make_unique<Engine>(Plan::open(model.plan(target, "")), options, *group);
  }
  Shape shape;
  Format format;
  KvType kvType;
  std::string target;
  CompiledModel model;
  std::unique_ptr<Communicator> group = makeSelfCommunicator();
  std::unique_ptr<Engine> engine;
};
Loaded &loaded(Loaded::Shape shape, Format format, KvType kvType, const std::string &target) {
  static std::unique_ptr<Loaded> last;
  if (!last || last->shape != shape || last->format != format || last->kvType != kvType || last->target != target) {
    last.reset();
    last = std::make_unique<Loaded>(shape, format, kvType, target);
  }
  return *last;
}

std::vector<int32_t> someTokens(int64_t count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<int32_t>(i * 37 % 500);
  return tokens;
}

/// Submits a prompt that is to get `count` tokens, and runs it up to its first.
void startDecoding(Engine &engine, int64_t prompt, int64_t count) {
  Request request{1, someTokens(prompt), {}};
  request.sampling.maxTokens = count;
  request.sampling.ignoreEnd = true;
  engine.submit(std::move(request));
  while (engine.step().empty())
    ;
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

benchmark::Counter perSecond(double count) {
  return benchmark::Counter(count, benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
}
void report(benchmark::State &state, double bytes, double operations) {
  state.counters["bytes/s"] = perSecond(bytes);
  state.counters["op/s"] = perSecond(operations);
}

/// 1,024 rows of 2,816 columns times `tokens` tokens.
void product(benchmark::State &state, Format format, int64_t tokens, const std::string &target) {
  Engine &engine = *loaded(oneLayer, format, KvType::F16, target).engine;
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
void decodeAttention(benchmark::State &state, KvType kvType, int64_t depth, const std::string &target) {
  Engine &engine = *loaded(oneLayer, Format::Q4_0, kvType, target).engine;
  double bytes = 0, operations = 0;
  for (auto _ : state) {
    startDecoding(engine, depth, 9);
    engine.startProfile();
    while (!engine.idle())
      engine.step();
    book(state, engine.endProfile(), "decoder_block.attention", bytes, operations);
  }
  report(state, bytes, operations);
}

/// The attention of a prompt of 512 tokens.
void promptAttention(benchmark::State &state, KvType kvType, const std::string &target) {
  Engine &engine = *loaded(oneLayer, Format::Q4_0, kvType, target).engine;
  std::vector<int32_t> ids = someTokens(512);
  double bytes = 0, operations = 0;
  for (auto _ : state) {
    engine.startProfile();
    engine.evaluate(ids, 512, [](int64_t, const float *) {});
    book(state, engine.endProfile(), "decoder_block.attention", bytes, operations);
  }
  report(state, bytes, operations);
}

void decodeFromMemory(benchmark::State &state, Format format, const std::string &target) {
  constexpr int64_t kSteps = 8;
  Loaded &model = loaded(large, format, KvType::F16, target);
  double fileBytes = 0;
  for (const auto &[name, weight] : model.model.model().weights)
    if (name != "token_embd.weight") // a token reads one row of it
      fileBytes += double(weight.fileBytes.size());
  static tool::ReadBandwidth bandwidth(omp_get_num_procs());
  std::vector<double> ofLimit;
  double before = bandwidth.once();
  for (auto _ : state) {
    startDecoding(*model.engine, 1, kSteps + 1);
    auto begin = std::chrono::steady_clock::now();
    while (!model.engine->idle())
      model.engine->step();
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    state.SetIterationTime(seconds);
    double after = bandwidth.once();
    ofLimit.push_back(kSteps * fileBytes / ((before + after) / 2) / seconds);
    before = after;
  }
  std::ranges::sort(ofLimit);
  state.counters["bytes/s"] = perSecond(fileBytes * kSteps * double(state.iterations()));
  state.counters["of_limit"] = ofLimit[ofLimit.size() / 2];
}

/// The quantiser of a format on one core: bytes of f32 a second. Normal weights, from cache.
void encode(benchmark::State &state, Format format) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> x(1 << 15);
  for (float &v : x)
    v = normal(random);
  std::vector<std::byte> row(static_cast<size_t>(traits(format).rowBytes(static_cast<int64_t>(x.size()))));
  for (auto _ : state) {
    encodeRow(format, x.data(), static_cast<int64_t>(x.size()), row.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * x.size() * sizeof(float)));
}

} // namespace

int main(int argc, char **argv) {
  auto add = [](const std::string &name, auto function, auto... arguments) {
    return benchmark::RegisterBenchmark(name.c_str(), function, arguments...)->UseManualTime();
  };
  for (Format format : kFormats)
    if (canEncode(format))
      benchmark::RegisterBenchmark(("encode/" + std::string(traits(format).name)).c_str(), encode, format);
  for (const std::string &target : hostTargets()) {
    for (Format format : kFormats) {
      std::string name = std::string(traits(format).name) + "/";
      for (int64_t tokens : {1, 8, 512})
        add("product/" + name + std::to_string(tokens) + "/" + target, product, format, tokens, target)->MinTime(0.05);
    }
    for (KvType kvType : {KvType::F16, KvType::Q8}) {
      std::string name = std::string(kvTypeName(kvType)) + "/";
      for (int64_t depth : {128, 4096})
        add("decode_attention/" + name + std::to_string(depth) + "/" + target, decodeAttention, kvType, depth, target)
            ->MinTime(0.01);
      add("prompt_attention/" + name + "512/" + target, promptAttention, kvType, target)->MinTime(0.05);
    }
    for (Format format : kFormats)
      add("decode_from_memory/" + std::string(traits(format).name) + "/" + target, decodeFromMemory, format, target)
          ->Iterations(15);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv))
    return 2;
  return benchmark::RunSpecifiedBenchmarks() > 0 ? 0 : 1; // 1: the filter matches none
}
