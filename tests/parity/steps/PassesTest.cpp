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
#include <gtest/gtest.h>

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

std::vector<double> exact(const std::string &text, const PackedWeights &weights, const reference::Batch &batch, int ranks) {
  Program program(text);
  EXPECT_TRUE(program.valid()) << program.errors();
  if (!program.valid())
    return {};
  auto logits = program.reference(reference::Mode::exact, weights, ranks)->runFor("step", batch);
  EXPECT_TRUE(succeeded(logits)) << program.errors();
  return failed(logits) ? std::vector<double>() : std::get<std::vector<double>>((*logits)->data);
}

class Passes : public testing::TestWithParam<TinyConfig> {};

TEST_P(Passes, KeepTheMathematicsOneByOne) {
  CompiledModel model(GetParam());
  PackedWeights weights(model.model());
  reference::Batch batch = batchOf({5, 17, 200, 3, 3, 91, 250, 8, 44});
  std::vector<double> graph;
  std::vector<AfterPass> all = afterEveryPass(model.stage("graph"));
  ASSERT_GT(all.size(), 7u);
  for (const AfterPass &after : all)
    for (int ranks : {1, 3}) {
      std::vector<double> logits = exact(after.text, weights, batch, ranks);
      if (graph.empty())
        graph = logits;
      ASSERT_EQ(logits.size(), graph.size()) << after.pass;
      double worst = 0;
      for (size_t i = 0; i < graph.size(); ++i)
        worst = std::fmax(worst, std::isnan(logits[i]) ? 1 : std::abs(logits[i] - graph[i]));
      EXPECT_LT(worst, 1e-10) << "after " << after.pass << " on " << ranks << " ranks"; // the same f64 formulas in another order
    }
}

TinyConfig config(const char *architecture, Format format, int64_t heads, int64_t kvHeads, int64_t headDim) {
  TinyConfig c;
  c.architecture = architecture, c.weights = format;
  c.width = 64, c.heads = heads, c.kvHeads = kvHeads, c.headDim = headDim, c.feedForward = 96, c.vocabulary = 1100;
  c.window = c.architecture == "gemma3" || c.architecture == "gpt-oss" ? 4 : 0;
  return c;
}
TinyConfig withExperts(TinyConfig c) {
  c.experts = 5;
  c.formats = {{"ffn_gate_inp", Format::F32}};
  return c;
}
INSTANTIATE_TEST_SUITE_P(Tiny, Passes,
                         testing::Values(config("llama", Format::F32, 4, 2, 16), config("llama", Format::Q4_0, 5, 1, 32),
                                         config("gemma3", Format::Q8_0, 4, 2, 48), config("gemma3", Format::F16, 4, 4, 16),
                                         withExperts(config("llama", Format::Q8_0, 4, 2, 16)),
                                         withExperts(config("gpt-oss", Format::Q4_0, 4, 1, 32))));

} // namespace
