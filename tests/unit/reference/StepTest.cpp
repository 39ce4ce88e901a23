//===- StepTest.cpp - whole steps of the hand-written modules -------------------------------------------------------===//
#include "tests/unit/reference/Modules.h"
#include <cmath>
#include <cstring>

using namespace heddle::reference;
using namespace heddle::test;

namespace {

/// Logits of a schedule of steps, one after another.
template <class Real> std::vector<Real> run(const std::string &module, Mode mode, int ranks, const std::vector<Batch> &steps) {
  Program program(readModule(module));
  EXPECT_TRUE(program.valid()) << program.errors();
  std::vector<Real> all;
  if (!program.valid())
    return all;
  PackedWeights weights = moduleWeights();
  auto reference = program.reference(mode, weights, ranks);
  for (const Batch &step : steps) {
    auto logits = reference->runFor("step", step);
    EXPECT_TRUE(succeeded(logits)) << program.errors();
    if (failed(logits))
      return {};
    auto values = valuesOf<Real>(**logits);
    EXPECT_EQ(values.size(), step.rows.size() * 1100);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

bool sameBits(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() && !std::memcmp(a.data(), b.data(), a.size() * sizeof(float));
}

/// ‖a − b‖ / ‖b‖. NaN anywhere makes it NaN, which is below no bound.
template <class A, class B> double distance(const std::vector<A> &a, const std::vector<B> &b) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(static_cast<double>(a.at(i)) - static_cast<double>(b[i]), 2);
    size += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / size);
}

/// A prompt past a key chunk and past the window of 70, a second sequence beside it, then decoding of both.
std::vector<Batch> schedule() {
  return {together(chunk(0, 90, 0, 2), chunk(0, 5, 1, 2)), together(chunk(90, 91, 0, 2), chunk(5, 30, 1, 2)),
          together(chunk(91, 92, 0, 2), chunk(30, 31, 1, 2))};
}

TEST(Step, FusionKeepsTheMathematics) {
  auto graph = run<double>("graph.mlir", Mode::exact, 1, schedule());
  auto fused = run<double>("fused.mlir", Mode::exact, 1, schedule());
  auto sharded = run<double>("sharded.mlir", Mode::exact, 3, schedule());
  ASSERT_FALSE(graph.empty());
  EXPECT_GT(std::abs(graph[0] - graph[1]), 1e-3); // not a constant
  EXPECT_LT(distance(fused, graph), 1e-13);       // the same f64 formulas in another order
  EXPECT_LT(distance(sharded, graph), 1e-13);
}

TEST(Step, OneArithmeticIsCloseToTheMathematics) {
  auto exact = run<double>("graph.mlir", Mode::exact, 1, schedule());
  auto one = run<float>("fused.mlir", Mode::oneArithmetic, 1, schedule());
  double error = distance(one, exact);
  EXPECT_LT(error, 0.03); // activations of 8 bits, eight products deep
  EXPECT_GT(error, 1e-5); // and really of 8 bits
}

TEST(Step, RankCountsKeepTheBits) {
  auto fused = run<float>("fused.mlir", Mode::oneArithmetic, 1, schedule());
  ASSERT_FALSE(fused.empty());
  for (int ranks : {1, 2, 3, 5, 7, 16})
    EXPECT_TRUE(sameBits(run<float>("sharded.mlir", Mode::oneArithmetic, ranks, schedule()), fused)) << ranks << " ranks";
}

TEST(Step, ChunksOfThePromptKeepTheBits) {
  auto whole = run<float>("fused.mlir", Mode::oneArithmetic, 1, {chunk(0, 100)});
  for (int64_t size : {1, 7, 64}) {
    std::vector<Batch> steps;
    for (int64_t begin = 0; begin < 100; begin += size)
      steps.push_back(chunk(begin, std::min<int64_t>(begin + size, 100)));
    EXPECT_TRUE(sameBits(run<float>("fused.mlir", Mode::oneArithmetic, 1, steps), whole)) << "chunks of " << size;
  }
}

TEST(Step, BatchNeighboursKeepTheBits) {
  auto alone = run<float>("fused.mlir", Mode::oneArithmetic, 1, {chunk(0, 20, 1, 2)});
  auto beside = run<float>("fused.mlir", Mode::oneArithmetic, 1, {together(chunk(0, 20, 1, 2), chunk(0, 33, 0, 2))});
  beside.resize(alone.size());
  EXPECT_TRUE(sameBits(beside, alone));
  auto other = run<float>("fused.mlir", Mode::oneArithmetic, 1, {chunk(0, 20, 0, 2)});
  EXPECT_FALSE(sameBits(other, alone)); // other tokens, other logits
}

TEST(Step, OnlyWantedRowsAreReturned) {
  Batch few = chunk(0, 20);
  few.rows = {3, 19};
  auto all = run<float>("fused.mlir", Mode::oneArithmetic, 1, {chunk(0, 20)});
  auto two = run<float>("fused.mlir", Mode::oneArithmetic, 1, {few});
  ASSERT_EQ(two.size(), 2200u);
  EXPECT_FALSE(std::memcmp(two.data(), all.data() + 3 * 1100, 1100 * sizeof(float)));
  EXPECT_FALSE(std::memcmp(two.data() + 1100, all.data() + 19 * 1100, 1100 * sizeof(float)));
  few.rows = {};
  EXPECT_TRUE(run<float>("fused.mlir", Mode::oneArithmetic, 1, {few}).empty());
}

TEST(Step, ClearForgetsTheCache) {
  Program program(readModule("fused.mlir"));
  PackedWeights weights = moduleWeights();
  auto reference = program.reference(Mode::oneArithmetic, weights);
  ASSERT_TRUE(succeeded(reference->runFor("step", chunk(0, 3))));
  reference->clear();
  EXPECT_TRUE(failed(reference->runFor("step", chunk(3, 4))));
  EXPECT_NE(program.errors().find("reads position 0 of sequence 0, KV head 0, layer 0, which this rank never wrote"),
            std::string::npos)
      << program.errors();
}

} // namespace
