//===- ExpertsTest.cpp - mixtures of experts and sinks against plain loops -------------------------------------------===//
#include "tests/unit/reference/Modules.h"
#include <cmath>

using namespace heddle::reference;
using namespace heddle::test;

namespace {

struct Chosen {
  std::vector<double> weights;
  std::vector<int32_t> experts;
};

Chosen choose(const std::vector<double> &scores, int64_t choices, bool overAll, Mode mode = Mode::exact) {
  auto experts = static_cast<int64_t>(scores.size());
  std::string n = std::to_string(experts), k = std::to_string(choices);
  Program program("func.func @f(%s: tensor<?x" + n + "xf32>) -> (tensor<?x" + k + "xf32>, tensor<?x" + k +
                  "xi32>) {\n %w, %e = heddle.choose_experts %s choices " + k + " of " + n + (overAll ? " {over_all}" : "") +
                  " : (tensor<?x" + n + "xf32>) -> (tensor<?x" + k + "xf32>, tensor<?x" + k +
                  "xi32>)\n return %w, %e : tensor<?x" + k + "xf32>, tensor<?x" + k + "xi32>\n}");
  EXPECT_TRUE(program.valid()) << program.errors();
  PackedWeights none;
  std::vector<Tensor> arguments;
  if (mode == Mode::exact)
    arguments.push_back(tensor<double>({1, experts}, scores));
  else
    arguments.push_back(tensor<float>({1, experts}, std::vector<float>(scores.begin(), scores.end())));
  auto results = program.reference(mode, none)->call("f", std::move(arguments));
  EXPECT_TRUE(succeeded(results)) << program.errors();
  if (failed(results))
    return {};
  Chosen chosen;
  if (mode == Mode::exact)
    chosen.weights = valuesOf<double>(*(*results)[0]);
  else
    for (float w : valuesOf<float>(*(*results)[0]))
      chosen.weights.push_back(w);
  chosen.experts = std::get<std::vector<int32_t>>((*results)[1]->data);
  return chosen;
}

TEST(Experts, TheLargestByIncreasingNumber) {
  Chosen chosen = choose({0.5, 3, -1, 2}, 2, false);
  EXPECT_EQ(chosen.experts, (std::vector<int32_t>{1, 3}));
  EXPECT_NEAR(chosen.weights[0], 1 / (1 + std::exp(-1.0)), 1e-15);
  EXPECT_NEAR(chosen.weights[1], 1 - 1 / (1 + std::exp(-1.0)), 1e-15);
  EXPECT_EQ(choose({-5, -7, -6}, 3, false).experts, (std::vector<int32_t>{0, 1, 2}));
}

TEST(Experts, OfEqualScoresTheLowerNumber) {
  for (Mode mode : {Mode::exact, Mode::oneArithmetic}) {
    EXPECT_EQ(choose({1, 2, 2, 2, 1}, 2, false, mode).experts, (std::vector<int32_t>{1, 2}));
    EXPECT_EQ(choose({1, 1, 1, 2}, 2, false, mode).experts, (std::vector<int32_t>{0, 3}));
    EXPECT_EQ(choose({0.0, -0.0, -0.0}, 1, false, mode).experts, (std::vector<int32_t>{0}));
  }
}

TEST(Experts, ASoftmaxOverAllScores) {
  Chosen chosen = choose({std::log(5.0), std::log(2.0), std::log(3.0)}, 2, true);
  EXPECT_EQ(chosen.experts, (std::vector<int32_t>{0, 2}));
  EXPECT_NEAR(chosen.weights[0], 0.5, 1e-15);
  EXPECT_NEAR(chosen.weights[1], 0.3, 1e-15);
}

TEST(Experts, ScoresThatAreNoNumbersStillChooseExpertsThatThereAre) {
  for (Mode mode : {Mode::exact, Mode::oneArithmetic}) {
    Chosen chosen = choose({NAN, NAN, 1, NAN}, 3, false, mode);
    EXPECT_EQ(chosen.experts, (std::vector<int32_t>{0, 1, 2})) << "the first of what is left, then what is larger than nothing";
    for (double w : chosen.weights)
      EXPECT_TRUE(std::isnan(w));
  }
}

/// Two tokens, three experts of 16 rows, two choices: products of the chosen ones alone, then their sum.
TEST(Experts, ProductsAndTheirSum) {
  Program program(R"(
    heddle.weight @w : tensor<3x16x32xf32>
    heddle.weight @b : tensor<48xf32>
    func.func @f(%x: tensor<?x32xf32>, %e: tensor<?x2xi32>, %c: tensor<?x2xf32>, %r: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
      %w = heddle.get @w : tensor<3x16x32xf32>
      %b = heddle.get @b : tensor<48xf32>
      %y = heddle.linear %x weights(%w) biases(%b) experts(%e) : (tensor<?x32xf32>, tensor<3x16x32xf32>, tensor<48xf32>, tensor<?x2xi32>) -> tensor<?x16xf32>
      %s = heddle.sum_experts %y weights(%c) choices 2 residual(%r) : (tensor<?x16xf32>, tensor<?x2xf32>, tensor<?x16xf32>) -> tensor<?x16xf32>
      return %y, %s : tensor<?x16xf32>, tensor<?x16xf32>
    })");
  ASSERT_TRUE(program.valid()) << program.errors();
  PackedWeights weights;
  std::vector<float> w = noise<float>(3 * 16 * 32, 1), b = noise<float>(48, 2);
  weights.add("w", floatWeight(w, 48));
  weights.add("b", floatWeight(b, 1));
  std::vector<double> x = noise<double>(64, 3), counts{0.25, 0.75, 0.5, 0.5}, residual = noise<double>(32, 4);
  Tensor numbers;
  numbers.shape = {2, 2}, numbers.valid = {0, 2}, numbers.data = std::vector<int32_t>{0, 2, 1, 2};
  auto results =
      program.reference(Mode::exact, weights)
          ->call("f", {tensor<double>({2, 32}, x), numbers, tensor<double>({2, 2}, counts), tensor<double>({2, 16}, residual)});
  ASSERT_TRUE(succeeded(results)) << program.errors();
  auto each = valuesOf<double>(*(*results)[0]), sums = valuesOf<double>(*(*results)[1]);
  ASSERT_EQ(each.size(), 64u); // a row for each choice
  const size_t chosen[4] = {0, 2, 1, 2};
  for (size_t t = 0; t < 2; ++t)
    for (size_t n = 0; n < 16; ++n) {
      double sum = 0;
      for (size_t c = 0; c < 2; ++c) {
        size_t row = chosen[2 * t + c] * 16 + n;
        double product = static_cast<double>(b[row]);
        for (size_t k = 0; k < 32; ++k)
          product += x[t * 32 + k] * static_cast<double>(w[row * 32 + k]);
        EXPECT_NEAR(each[(2 * t + c) * 16 + n], product, 1e-12);
        sum += counts[2 * t + c] * product;
      }
      EXPECT_NEAR(sums[t * 16 + n], residual[t * 16 + n] + sum, 1e-12);
    }
}

/// A sink takes its part of the weights and gives nothing.
TEST(Experts, AttentionWithSinks) {
  Program program(R"(
    func.func @f(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %s: tensor<2xf32>) -> tensor<?x32xf32> {
      %a = heddle.attention batch query(%q) keys(%k) values(%v) sinks(%s) {heads = 2 : i64, kv_heads = 1 : i64, head_dim = 16 : i64,
          scale = 0.25 : f32, mask = #heddle<mask none>} : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<2xf32>) -> tensor<?x32xf32>
      return %a : tensor<?x32xf32>
    })");
  ASSERT_TRUE(program.valid()) << program.errors();
  auto q = noise<double>(3 * 32, 1), k = noise<double>(3 * 16, 2), v = noise<double>(3 * 16, 3);
  const std::vector<double> sinks{1.5, -0.5};
  PackedWeights none;
  auto arguments = [&]<class Real>(Real) -> std::vector<Tensor> {
    auto as = [](const std::vector<double> &values) { return std::vector<Real>(values.begin(), values.end()); };
    return {tensor<Real>({3, 32}, as(q)), tensor<Real>({3, 16}, as(k)), tensor<Real>({3, 16}, as(v)),
            tensor<Real>({2}, as(sinks))};
  };
  auto exact = program.reference(Mode::exact, none)->call("f", arguments(0.0));
  auto one = program.reference(Mode::oneArithmetic, none)->call("f", arguments(0.0f));
  ASSERT_TRUE(succeeded(exact) && succeeded(one)) << program.errors();
  auto out = valuesOf<double>(*(*exact)[0]);
  auto outOne = valuesOf<float>(*(*one)[0]);
  for (size_t t = 0; t < 3; ++t)
    for (size_t h = 0; h < 2; ++h) {
      double p[3], sum = std::exp(sinks[h]);
      for (size_t s = 0; s < 3; ++s) {
        double score = 0;
        for (size_t j = 0; j < 16; ++j)
          score += 0.25 * q[t * 32 + h * 16 + j] * k[s * 16 + j];
        sum += p[s] = std::exp(score);
      }
      for (size_t j = 0; j < 16; ++j) {
        double expected = 0;
        for (size_t s = 0; s < 3; ++s)
          expected += p[s] / sum * v[s * 16 + j];
        EXPECT_NEAR(out[t * 32 + h * 16 + j], expected, 1e-13);
        EXPECT_NEAR(static_cast<double>(outOne[t * 32 + h * 16 + j]), expected, 3e-3);
      }
    }
}

} // namespace
