//===- PassesTest.cpp - no pass changes the mathematics ---------------------------------------------------------------===//
//
// The interpreter runs a tiny model's step after every single pass up to stage sharded, not only at the ends: a pass that is
// wrong is named, and two that are wrong in opposite ways cannot hide each other.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Pipeline.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "tests/parity/steps/Compiled.h"
#include "tests/support/PackedWeights.h"
#include "tests/support/Program.h"
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <map>

using namespace heddle;
using namespace heddle::test;

namespace {

struct AfterPass {
  std::string pass, text;
};

/// The module before any pass and after each.
class Recorder : public mlir::PassInstrumentation {
public:
  explicit Recorder(std::vector<AfterPass> &seen) : seen_(seen) {}
  void runAfterPass(mlir::Pass *pass, mlir::Operation *op) override {
    std::string text;
    llvm::raw_string_ostream(text) << *op;
    seen_.push_back({pass->getName().str(), std::move(text)});
  }

private:
  std::vector<AfterPass> &seen_;
};

std::vector<AfterPass> afterEveryPass(const std::string &graph) {
  mlir::DialectRegistry registry;
  registerAllStages(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(graph, &context);
  std::vector<AfterPass> seen{{"(the graph)", graph}};
  mlir::PassManager passes(&context);
  passes.addInstrumentation(std::make_unique<Recorder>(seen));
  for (Stage stage : {Stage::Fused, Stage::Sharded})
    addStagePasses(passes, stage, {}, Target::Avx2);
  EXPECT_TRUE(module && succeeded(passes.run(*module)));
  return seen;
}

/// Logits of a stage's text in one of the meanings.
template <class Real>
std::vector<Real> logitsOf(const std::string &text, reference::Mode mode, const PackedWeights &weights, int ranks) {
  Program program(text);
  EXPECT_TRUE(program.valid()) << program.errors();
  if (!program.valid())
    return {};
  auto logits = program.reference(mode, weights, ranks)->runFor("step", batchOf({5, 17, 200, 3, 3, 91, 250, 8, 44}));
  EXPECT_TRUE(succeeded(logits)) << program.errors();
  return failed(logits) ? std::vector<Real>() : std::get<std::vector<Real>>((*logits)->data);
}

struct Case {
  std::string name;
  TinyConfig config;
};

/// One of each thing that a tiny model may have: families, kinds of formats, biases, windows, rotations, heads.
std::vector<Case> cases() {
  auto config = [](const char *architecture, Format format, int64_t heads, int64_t kvHeads, int64_t headDim) {
    TinyConfig c;
    c.architecture = architecture, c.weights = format;
    c.width = 64, c.heads = heads, c.kvHeads = kvHeads, c.headDim = headDim, c.feedForward = 96, c.vocabulary = 1100;
    c.context = 256;
    c.window = c.architecture == "gemma3" ? 4 : 0;
    return c;
  };
  std::vector<Case> all{
      {"llama", config("llama", Format::F32, 4, 2, 16)},         {"llama_q4_0", config("llama", Format::Q4_0, 5, 1, 32)},
      {"gemma3_q8_0", config("gemma3", Format::Q8_0, 4, 2, 48)}, {"gemma3_f16", config("gemma3", Format::F16, 4, 4, 16)},
      {"gpt2", config("gpt2", Format::F32, 4, 4, 16)},           {"gpt2_q8_0", config("gpt2", Format::Q8_0, 2, 2, 32)},
      {"granite", config("granite", Format::BF16, 4, 2, 16)},    {"granite_q5_1", config("granite", Format::Q5_1, 4, 2, 32)}};
  for (Case &granite : all)
    if (granite.config.architecture == "granite")
      granite.config.embeddingScale = 12, granite.config.residualScale = 0.22, granite.config.logitScale = 6;
  Case biases{"biases", config("llama", Format::Q4_1, 4, 2, 32)}; // q and v stay apart from k, gate and up from each other
  biases.config.biases = true, biases.config.tiedHead = true;
  all.push_back(biases);
  biases.name = "biases_of_some_formats", biases.config.formats = {{"attn_k", Format::F16}, {"ffn_gate", Format::BF16}};
  all.push_back(biases);
  Case window{"window", config("llama", Format::Q5_0, 4, 1, 16)};
  window.config.window = 3;
  all.push_back(window);
  Case yarn{"yarn", config("llama", Format::Q8_0, 2, 1, 32)};
  yarn.config.yarnFactor = 8, yarn.config.ropeOriginal = 40;
  all.push_back(yarn);
  Case longRope{"long_rope", config("llama", Format::MXFP4, 2, 1, 32)}; // this step is longer than the original context
  longRope.config.ropeFactors.assign(16, 1.5f), longRope.config.longFactors.assign(16, 3.0f);
  longRope.config.ropeOriginal = 6, longRope.config.ropeMagnitude = 1.19;
  all.push_back(longRope);
  Case experts{"experts", config("llama", Format::Q8_0, 4, 2, 16)};
  experts.config.experts = 5, experts.config.formats = {{"ffn_gate_inp", Format::F32}};
  all.push_back(experts);
  Case oss{"gpt_oss", config("gpt-oss", Format::Q4_0, 4, 1, 32)};
  oss.config.experts = 5, oss.config.window = 4, oss.config.formats = {{"ffn_gate_inp", Format::F32}};
  all.push_back(oss);
  return all;
}

class Passes : public testing::TestWithParam<Case> {};

TEST_P(Passes, KeepTheMathematicsOneByOne) {
  CompiledModel model(GetParam().config);
  PackedWeights weights(model.model());
  std::vector<double> graph;
  std::vector<AfterPass> all = afterEveryPass(model.stage("graph"));
  ASSERT_GT(all.size(), 7u);
  for (const AfterPass &after : all)
    for (int ranks : {1, 3}) {
      auto logits = logitsOf<double>(after.text, reference::Mode::exact, weights, ranks);
      if (graph.empty())
        graph = logits;
      ASSERT_EQ(logits.size(), graph.size()) << after.pass;
      double worst = 0;
      for (size_t i = 0; i < graph.size(); ++i)
        worst = std::fmax(worst, std::isnan(logits[i]) ? 1 : std::abs(logits[i] - graph[i]));
      EXPECT_LT(worst, 1e-10) << "after " << after.pass << " on " << ranks << " ranks"; // the same f64 formulas in another order
    }
}

/// Once quantised products take quantised activations the numbers are those of the plan: no later pass may change a bit.
TEST_P(Passes, KeepTheBitsOnceActivationsAreQuantised) {
  CompiledModel model(GetParam().config);
  PackedWeights weights(model.model());
  std::vector<float> truth;
  size_t compared = 0;
  for (const AfterPass &after : afterEveryPass(model.stage("graph"))) {
    if (truth.empty() && after.pass != "heddle-quantize-activations")
      continue;
    for (int ranks : {1, 3}) {
      auto logits = logitsOf<float>(after.text, reference::Mode::oneArithmetic, weights, ranks);
      if (truth.empty())
        truth = logits;
      ASSERT_FALSE(logits.empty());
      ASSERT_EQ(logits.size(), truth.size());
      EXPECT_FALSE(std::memcmp(logits.data(), truth.data(), truth.size() * sizeof(float)))
          << "after " << after.pass << " on " << ranks << " ranks";
      ++compared;
    }
  }
  EXPECT_GE(compared, 6u);
}

INSTANTIATE_TEST_SUITE_P(Tiny, Passes, testing::ValuesIn(cases()), [](const auto &info) { return info.param.name; });

/// The tests above see a pass only where it does something: each does, in some model here.
TEST(AllPasses, ChangeSomeModel) {
  std::map<std::string, bool> changes;
  for (const Case &test : cases()) {
    std::vector<AfterPass> all = afterEveryPass(CompiledModel(test.config).stage("graph"));
    for (size_t i = 2; i < all.size(); ++i) // the graph itself is printed in another way than it was parsed
      changes[all[i].pass] |= all[i].text != all[i - 1].text;
    changes[all[1].pass] |= all[1].text.find(" gate ") != std::string::npos;
  }
  EXPECT_GE(changes.size(), 9u);
  for (const auto &[pass, changed] : changes)
    EXPECT_TRUE(changed) << pass << " changes none of the models: add one that it does";
}

} // namespace
