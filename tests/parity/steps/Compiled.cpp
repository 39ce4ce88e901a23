//===- Compiled.cpp - a tiny model, compiled, and what it says --------------------------------------------------------===//
#include "tests/parity/steps/Compiled.h"
#include "compiler/Compile.h"
#include "runtime/engine/Engine.h"
#include "runtime/plan/StepAbi.h"
#include "tests/support/PackedWeights.h"
#include "tests/support/Program.h"
#include <numeric>
#include <openssl/sha.h>
#include <stdexcept>
#include <thread>

namespace heddle::test {

CompiledModel::CompiledModel(const TinyConfig &config, KvType kvType) : model_(makeTinyModel(config)), kvType_(kvType) {
  std::string name = (std::filesystem::temp_directory_path() / "heddle-parity-XXXXXX").string();
  if (!mkdtemp(name.data()))
    throw std::runtime_error("cannot make a temporary folder");
  folder_ = name;
  writeGguf(model_, folder_ / "tiny.gguf");
}

CompiledModel::~CompiledModel() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string CompiledModel::stage(const char *name) const {
  CompileOptions options;
  options.model = folder_ / "tiny.gguf";
  options.kvType = kvType_;
  return emitStage(options, name);
}

std::filesystem::path CompiledModel::plan(const std::string &target, const std::string &tiling, int64_t cacheBytes) {
  CompileOptions options;
  options.model = folder_ / "tiny.gguf";
  options.kvType = kvType_;
  options.output = folder_ / ("for-" + target + "-" + tiling + ".plan");
  options.target = target;
  options.tiling = tiling;
  options.cacheBytes = cacheBytes;
  return compileModel(options).plan;
}

Logits run(const std::filesystem::path &directory, const std::vector<int32_t> &tokens, const Schedule &schedule) {
  Plan plan = Plan::open(directory);
  auto group = makeThreadCommunicators(schedule.ranks);
  Logits logits;
  std::vector<std::jthread> ranks;
  for (auto &member : group)
    ranks.emplace_back([&, &member = *member] {
      EngineOptions options;
      options.threads = schedule.threads;
      options.context = static_cast<int64_t>(tokens.size());
      Engine engine(plan, options, member);
      if (member.rank() != 0)
        return engine.follow();
      engine.evaluate(tokens, schedule.chunk,
                      [&](int64_t, const float *row) { logits.insert(logits.end(), row, row + plan.manifest().vocabulary); });
    });
  ranks.clear(); // joins
  return logits;
}

static reference::Batch batchOf(const std::vector<int32_t> &tokens) {
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
  auto result = program.reference(mode, weights, ranks)->step(batchOf(tokens));
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
