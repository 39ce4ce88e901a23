//===- FailureTest.cpp - what must not pass for numbers -------------------------------------------------------------===//
#include "tests/unit/reference/Modules.h"
#include <cmath>
#include <functional>

using namespace heddle::reference;
using namespace heddle::test;

namespace {

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// A product whose second half is missing on rank 0 when ranks are two; `middle` makes %y [T × 32] of the share %s.
std::string sharesAndThen(const std::string &middle) {
  return R"(
    heddle.weight @w : tensor<32x32x!heddle.quant<q4_0>>
    heddle.weight @n : tensor<32xf32>
    func.func @run(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
      %w = heddle.get @w : tensor<32x32x!heddle.quant<q4_0>>
      %n = heddle.get @n : tensor<32xf32>
      %b, %e = heddle.share 2
      %q = heddle.quantize %x : (tensor<?x32xf32>) -> tensor<?x32x!heddle.q8>
      %s = heddle.linear %q weights(%w) shares(%b, %e) : (tensor<?x32x!heddle.q8>, tensor<32x32x!heddle.quant<q4_0>>, index, index) -> tensor<?x32xf32, #heddle.shard<columns, 16>>
)" + middle +
         R"(
      %z = heddle.linear %y weights(%w) : (tensor<?x32x!heddle.q8>, tensor<32x32x!heddle.quant<q4_0>>) -> tensor<?x32xf32>
      return %z : tensor<?x32xf32>
    })";
}
const char *kWithGather = R"(
      %g = heddle.all_gather %s : (tensor<?x32xf32, #heddle.shard<columns, 16>>) -> tensor<?x32xf32>
      %y = heddle.rms_norm %g, %n eps 1.0e-5 : (tensor<?x32xf32>, tensor<32xf32>) -> tensor<?x32x!heddle.q8>)";
const char *kWithoutGather = R"(
      %y = heddle.rms_norm %s, %n eps 1.0e-5 : (tensor<?x32xf32, #heddle.shard<columns, 16>>, tensor<32xf32>) -> tensor<?x32x!heddle.q8>)";

struct Outcome {
  std::vector<float> values;
  std::string errors;
};

Outcome runShares(const std::string &middle, int ranks) {
  Program program(sharesAndThen(middle));
  if (!program.valid())
    return {{}, program.errors()};
  PackedWeights weights;
  weights.add("w", randomWeight(heddle::Format::Q4_0, 32, 32, 1));
  weights.add("n", floatWeight(noise<float>(32, 2), 1));
  auto result =
      program.reference(Mode::oneArithmetic, weights, ranks)->call("run", {tensor<float>({1, 32}, noise<float>(32, 3))});
  if (failed(result))
    return {{}, program.errors()};
  return {valuesOf<float>(*(*result)[0]), program.errors()};
}

TEST(Sharding, AMissingGatherIsRefused) {
  EXPECT_EQ(runShares(kWithGather, 2).values.size(), 32u);
  EXPECT_NE(runShares(kWithoutGather, 2).errors.find("gather it first"), std::string::npos);
}

TEST(Sharding, AResidualThatWasNotGatheredIsRefused) {
  Outcome o = runShares(R"(
      %r = heddle.linear %q weights(%w) residual(%s) : (tensor<?x32x!heddle.q8>, tensor<32x32x!heddle.quant<q4_0>>, tensor<?x32xf32, #heddle.shard<columns, 16>>) -> tensor<?x32xf32>
      %y = heddle.quantize %r : (tensor<?x32xf32>) -> tensor<?x32x!heddle.q8>)",
                        2);
  EXPECT_NE(o.errors.find("gather it first"), std::string::npos) << o.errors;
}

TEST(Sharding, QuantisingAShareThatCutsABlockFails) {
  Outcome o =
      runShares("      %y = heddle.quantize %s : (tensor<?x32xf32, #heddle.shard<columns, 16>>) -> tensor<?x32x!heddle.q8>", 2);
  EXPECT_NE(o.errors.find("cuts a block of 32 features"), std::string::npos) << o.errors;
}

TEST(Sharding, AShareThatIsNotWhatItsTypePromisesFails) {
  std::string text = replaced(sharesAndThen(kWithGather), "heddle.share 2", "heddle.share 1");
  Program program(text);
  ASSERT_TRUE(program.valid()) << program.errors();
  PackedWeights weights;
  weights.add("w", randomWeight(heddle::Format::Q4_0, 32, 32, 1));
  weights.add("n", floatWeight(noise<float>(32, 2), 1));
  EXPECT_TRUE(
      failed(program.reference(Mode::oneArithmetic, weights, 2)->call("run", {tensor<float>({1, 32}, noise<float>(32, 3))})));
  EXPECT_NE(program.errors().find("brings columns [0, 16) but its type promises [16, 32)"), std::string::npos)
      << program.errors();
}

/// Edits a module or its batch and expects the step to fail with a message.
void expectFailure(
    const std::string &module, const std::string &message, Batch batch = chunk(0, 3), int ranks = 1,
    const std::function<void(PackedWeights &)> &edit = [](PackedWeights &) {}) {
  Program program(module);
  ASSERT_TRUE(program.valid()) << program.errors();
  PackedWeights weights = moduleWeights();
  edit(weights);
  EXPECT_TRUE(failed(program.reference(Mode::oneArithmetic, weights, ranks)->runFor("step", batch)));
  EXPECT_NE(program.errors().find(message), std::string::npos) << "wanted: " << message << "\ngot: " << program.errors();
}

TEST(Failures, NameTheirCause) {
  const std::string fused = readModule("fused.mlir"), sharded = readModule("sharded.mlir");
  expectFailure(readModule("graph.mlir"), "weight @q takes q8 activations, not f32");
  expectFailure("func.func @other() { return }", "has no entry @step");
  expectFailure("func.func private @step() { return }", "has no entry @step");
  expectFailure(replaced(sharded, "heddle.share 6 group 3", "heddle.share 6 group 6"), "outside", chunk(0, 3), 3);
  Batch b = chunk(0, 3);
  b.ids[1] = 1100;
  expectFailure(fused, "token id 1100 is outside a table of 1100 rows", b);
  b = chunk(0, 3), b.ids.pop_back();
  expectFailure(fused, "ids, positions and sequences differ in length", b);
  b = chunk(0, 3), b.positions[2] = 256;
  expectFailure(fused, "token 2 stands at a position without a page", b);
  b = chunk(0, 3), b.positions[2] = 5;
  expectFailure(fused, "which this rank never wrote", b);
  b = chunk(0, 3), b.sequences[0] = 1;
  expectFailure(fused, "token 0 is of no sequence of the page table", b);
  b = chunk(0, 3), b.pageTable[0] = -1;
  expectFailure(fused, "token 0 has a negative page", b);
  b = chunk(0, 3), b.rows = {3};
  expectFailure(fused, "row 3 is not one of the 3 tokens", b);
  b = chunk(0, 3), b.pageWidth = 3;
  expectFailure(fused, "page table is no multiple of its width", b);
  expectFailure(fused, "weight @q has data of another shape or kind: 8 × 64 quantised", chunk(0, 3), 1,
                [](PackedWeights &w) { w.add("q", randomWeight(heddle::Format::Q4_1, 8, 64, 1)); });
  expectFailure(replaced(replaced(fused, "@gate :", "@missing :"), "heddle.get @gate", "heddle.get @missing"),
                "has no data for weight @missing");
}

TEST(Failures, OneRankThatFailsWakesTheOthers) {
  // Only rank 1's share goes wrong; the others wait in a gather for it.
  std::string text = replaced(readModule("sharded.mlir"), "heddle.share 3\n", "heddle.share 4\n");
  expectFailure(text, "on rank ", chunk(0, 3), 5);
}

} // namespace
