//===- Compiled.cpp - a tiny model, compiled, and what it says --------------------------------------------------------===//
#include "tests/parity/steps/Compiled.h"
#include "compiler/Compile.h"
#include "runtime/engine/Engine.h"
#include "runtime/plan/Frame.h"
#include "tests/support/PackedWeights.h"
#include "tests/support/Program.h"
#include <fstream>
#include <functional>
#include <numeric>
#include <openssl/sha.h>
#include <stdexcept>
#include <thread>

namespace heddle::test {

static GraphEdit capping(float softCap) {
  if (softCap == 0)
    return {};
  return [softCap](std::string graph) {
    std::string attribute = "{soft_cap = " + std::to_string(softCap) + " : f32, ";
    for (size_t at = 0; (at = graph.find("heddle.attention", at)) != std::string::npos;)
      graph.replace(at = graph.find('{', at), 1, attribute);
    return graph;
  };
}

CompiledModel::CompiledModel(const TinyConfig &config, KvType kvType, float softCap)
    : CompiledModel(config, kvType, capping(softCap)) {}

CompiledModel::CompiledModel(const TinyConfig &config, KvType kvType, const GraphEdit &edit)
    : model_(makeTinyModel(config)), kvType_(kvType) {
  std::string name = (std::filesystem::temp_directory_path() / "heddle-parity-XXXXXX").string();
  if (!mkdtemp(name.data()))
    throw std::runtime_error("cannot make a temporary folder");
  folder_ = name;
  writeGguf(model_, folder_ / "tiny.gguf");
  if (!edit)
    return;
  std::string graph = edit(stage("graph"));
  graph_ = folder_ / "edited.mlir";
  std::ofstream(graph_) << graph;
}

CompiledModel::~CompiledModel() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

CompileOptions CompiledModel::options() const {
  CompileOptions options;
  options.model = folder_ / "tiny.gguf";
  options.kvType = kvType_;
  options.fromStage = graph_;
  return options;
}

std::string CompiledModel::stage(const char *name) const { return emitStage(options(), name); }

std::filesystem::path CompiledModel::plan(const std::string &target, const std::string &tiling, int64_t cacheBytes) {
  CompileOptions options = this->options();
  options.output = folder_ / ("for-" + target + "-" + tiling + ".plan");
  options.target = target;
  options.tiling = tiling;
  options.cacheBytes = cacheBytes;
  return compileModel(options).plan;
}

/// Ranks as threads; rank 0 does `lead`, the others follow it.
static void withEngine(const std::filesystem::path &directory, const Schedule &schedule, EngineOptions options,
                       const std::function<void(Engine &)> &lead) {
  Plan plan = Plan::open(directory);
  options.threads = schedule.threads;
  auto group = makeThreadCommunicators(schedule.ranks);
  std::vector<std::jthread> ranks;
  for (auto &member : group)
    ranks.emplace_back([&, &member = *member] {
      Engine engine(plan, options, member);
      member.rank() == 0 ? lead(engine) : engine.follow();
    });
}

Logits run(const std::filesystem::path &plan, const std::vector<int32_t> &tokens, const Schedule &schedule) {
  EngineOptions options;
  options.context = static_cast<int64_t>(tokens.size());
  int64_t vocabulary = Plan::open(plan).manifest().vocabulary;
  Logits logits;
  withEngine(plan, schedule, options, [&](Engine &engine) {
    engine.evaluate(tokens, schedule.chunk,
                    [&](int64_t, const float *row) { logits.insert(logits.end(), row, row + vocabulary); });
  });
  return logits;
}

std::vector<std::vector<TokenResult>> answers(const std::filesystem::path &plan, const std::vector<std::vector<int32_t>> &prompts,
                                              int64_t count, const Schedule &schedule, bool atOnce) {
  EngineOptions options;
  options.context = 256;
  options.kvBytes = 64 << 20;
  std::vector<std::vector<TokenResult>> answers(prompts.size());
  withEngine(plan, schedule, options, [&](Engine &engine) {
    auto finish = [&] {
      while (!engine.idle())
        for (const Event &event : engine.step())
          answers[event.request].insert(answers[event.request].end(), event.tokens.begin(), event.tokens.end());
    };
    for (uint64_t id = 0; id < prompts.size(); ++id) {
      Request request{id, prompts[id], {}};
      request.sampling.maxTokens = count, request.sampling.logprobs = 20, request.sampling.ignoreEnd = true;
      engine.submit(request);
      if (!atOnce)
        finish();
    }
    finish();
  });
  return answers;
}

reference::Batch batchOf(const std::vector<int32_t> &tokens) {
  auto count = static_cast<int32_t>(tokens.size());
  reference::Batch batch;
  batch.ids = tokens;
  batch.positions.resize(tokens.size());
  std::iota(batch.positions.begin(), batch.positions.end(), 0);
  batch.rows = batch.positions;
  batch.sequences.assign(tokens.size(), 0);
  batch.pageWidth = (count + kPageTokens - 1) / kPageTokens;
  for (int64_t page = 0; page < batch.pageWidth; ++page) // pages out of order: only the table says where a chunk lies
    batch.pageTable.push_back(static_cast<int32_t>(batch.pageWidth - 1 - page));
  return batch;
}

template <class Real>
static std::vector<Real> interpretAs(const CompiledModel &model, const char *stage, const std::vector<int32_t> &tokens,
                                     reference::Mode mode, int ranks) {
  PackedWeights weights(model.model());
  Program program(model.stage(stage));
  if (!program.valid())
    throw std::runtime_error(program.errors());
  auto result = program.reference(mode, weights, ranks)->runFor("step", batchOf(tokens));
  if (failed(result))
    throw std::runtime_error(program.errors());
  const auto &values = std::get<std::vector<Real>>((*result)->data);
  return {values.begin(), values.end()};
}

Logits interpret(const CompiledModel &model, const char *stage, const std::vector<int32_t> &tokens, int ranks) {
  return interpretAs<float>(model, stage, tokens, reference::Mode::oneArithmetic, ranks);
}

std::vector<double> interpretExactly(const CompiledModel &model, const std::vector<int32_t> &tokens) {
  return interpretAs<double>(model, "graph", tokens, reference::Mode::exact, 1);
}

std::string hashOf(const Logits &logits) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char *>(logits.data()), logits.size() * sizeof(float), digest);
  std::string text;
  for (unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

} // namespace heddle::test
