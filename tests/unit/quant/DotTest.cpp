// The normative products: within each format's declared bound of the f64 dot, within f32 rounding of the dot of what was
// quantised, and bit for bit what docs/arithmetic.md writes.
#include "runtime/quant/Dot.h"
#include "tests/unit/quant/RandomRows.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace heddle;
using namespace heddle::test;

namespace {

std::vector<Q8Block> quantize(const std::vector<float> &x) {
  std::vector<Q8Block> blocks;
  for (size_t k = 0; k < x.size(); k += 32)
    blocks.push_back(quantizeBlock(x.data() + k));
  return blocks;
}

double norm(const auto &v) {
  double sum = 0;
  for (double e : v)
    sum += e * e;
  return std::sqrt(sum);
}

float dotPacked(Format format, const std::byte *group, int lane, const std::vector<float> &x) {
  int64_t columns = static_cast<int64_t>(x.size());
  if (!traits(format).quantized)
    return dotRowF32(format, group, lane, columns, x.data());
  return dotRow(format, group, lane, columns, quantize(x).data());
}

/// |dotPacked − f64 dot| / (‖w‖·‖x‖), the largest over rows and kinds of activations. Those that follow the row's own values give
/// dots near ‖w‖·‖x‖, where a wrong term cannot hide.
double worstError(Format format, int64_t columns, auto damage) {
  std::mt19937_64 random(31);
  std::normal_distribution<float> normal;
  double worst = 0;
  for (int round = 0; round < 6; ++round) {
    std::vector<std::vector<std::byte>> rows;
    for (int i = 0; i < 16; ++i)
      rows.push_back(randomRow(format, columns, random));
    auto group = packRows(format, rows, columns);
    damage(group);
    for (int lane = 0; lane < 16; ++lane) {
      std::vector<double> w(columns);
      dequantizeRow(format, rows[lane].data(), columns, w.data());
      std::vector<float> x(columns);
      for (int64_t k = 0; k < columns; ++k)
        x[k] = round % 2 ? normal(random) : static_cast<float>(w[k]) * (1 + 0.1f * normal(random));
      double exact = 0;
      for (int64_t k = 0; k < columns; ++k)
        exact += w[k] * x[k];
      double error = std::fabs(dotPacked(format, group.data(), lane, x) - exact) / (norm(w) * norm(x));
      worst = std::max(worst, error);
    }
  }
  return worst;
}

class DotFormat : public testing::TestWithParam<Format> {};

TEST_P(DotFormat, StaysWithinTheDeclaredBound) {
  auto sound = [](std::vector<std::byte> &) {};
  for (int64_t columns : {256, 1024, 4096})
    EXPECT_LE(worstError(GetParam(), columns, sound), traits(GetParam()).errorBound) << columns;
}

TEST_P(DotFormat, TheBoundNoticesWrongWeights) { // a check that cannot fail is none
  auto rotated = [](std::vector<std::byte> &group) { std::rotate(group.begin(), group.begin() + 4, group.end()); };
  EXPECT_GT(worstError(GetParam(), 1024, rotated), traits(GetParam()).errorBound);
}

class QuantizedDotFormat : public testing::TestWithParam<Format> {}; // the float formats have no codes

TEST_P(QuantizedDotFormat, EqualsTheExactDotOfTheCodesUpToRounding) {
  std::mt19937_64 random(32);
  std::normal_distribution<float> normal;
  const int64_t columns = 2048;
  auto row = randomRow(GetParam(), columns, random);
  auto group = packRows(GetParam(), {row}, columns);
  std::vector<double> w(columns);
  dequantizeRow(GetParam(), row.data(), columns, w.data());
  std::vector<float> x(columns);
  for (float &v : x)
    v = normal(random);
  auto blocks = quantize(x);
  double exact = 0, size = 0;
  for (int64_t k = 0; k < columns; ++k) {
    double term = w[k] * blocks[k / 32].q[k % 32] * static_cast<double>(blocks[k / 32].d);
    exact += term;
    size += std::fabs(term);
  }
  EXPECT_NEAR(dotRow(GetParam(), group.data(), 0, columns, blocks.data()), exact, 4 * size * 0x1p-24);
  EXPECT_GT(std::fabs(exact), 8 * size * 0x1p-24); // the tolerance is not the answer
}

std::vector<Format> quantizedFormats() {
  std::vector<Format> formats;
  std::ranges::copy_if(kFormats, std::back_inserter(formats), [](Format format) { return traits(format).quantized; });
  return formats;
}

INSTANTIATE_TEST_SUITE_P(All, QuantizedDotFormat, testing::ValuesIn(quantizedFormats()),
                         [](const auto &info) { return nameOf(info.param); });
INSTANTIATE_TEST_SUITE_P(All, DotFormat, testing::ValuesIn(kFormats), [](const auto &info) { return nameOf(info.param); });

TEST(Dot, OrderAndFormulaByHand) {
  std::mt19937_64 random(33);
  auto groupQ41 = packRows(Format::Q4_1, {randomRow(Format::Q4_1, 64, random)}, 64);
  auto groupQ6 = packRows(Format::Q6_K, {randomRow(Format::Q6_K, 256, random)}, 256);
  std::vector<float> x(256);
  std::normal_distribution<float> normal;
  for (float &v : x)
    v = normal(random);
  auto blocks = quantize(x);
  QuantizedRow a = quantizedRow(Format::Q4_1, groupQ41.data(), 0, 64), b = quantizedRow(Format::Q6_K, groupQ6.data(), 0, 256);
  auto sum = [&](const QuantizedRow &row, int from, int n) {
    int total = 0;
    for (int k = from; k < from + n; ++k)
      total += row.codes[k] * blocks[k / 32].q[k % 32];
    return static_cast<float>(total);
  };
  float acc = 0;
  for (int i = 0; i < 2; ++i) {
    acc = std::fma(sum(a, 32 * i, 32), a.scales[i] * blocks[i].d, acc);
    acc = std::fma(a.minima[i], blocks[i].d * static_cast<float>(blocks[i].s0 + blocks[i].s1), acc);
  }
  EXPECT_EQ(dotRow(Format::Q4_1, groupQ41.data(), 0, 64, blocks.data()), acc);
  acc = 0;
  for (int i = 0; i < 16; ++i)
    acc = std::fma(sum(b, 16 * i, 16), b.scales[i] * blocks[i / 2].d, acc);
  EXPECT_EQ(dotRow(Format::Q6_K, groupQ6.data(), 0, 256, blocks.data()), acc);
}

TEST(Dot, ResumesFromAStoredAccumulator) {
  std::mt19937_64 random(34);
  auto row = randomRow(Format::Q5_1, 512, random);
  auto whole = packRows(Format::Q5_1, {row}, 512);
  std::vector<float> x(512, 0.25f);
  x[3] = -2;
  auto blocks = quantize(x);
  const FormatTraits &t = traits(Format::Q5_1);
  float first = dot(quantizedRow(Format::Q5_1, whole.data(), 0, 256), blocks.data());
  float both = dot(quantizedRow(Format::Q5_1, whole.data() + t.groupBytes(256), 0, 256), blocks.data() + 8, first);
  EXPECT_EQ(both, dotRow(Format::Q5_1, whole.data(), 0, 512, blocks.data()));
}

TEST(Dot, WorstActivationComesCloseToTheBound) { // the bound is not slack: √31/254 is reached
  float x[32], w[32];
  std::fill(x, x + 32, 0.4999f);
  std::fill(w, w + 32, 1.0f);
  x[0] = 127, w[0] = 0;
  std::vector<std::byte> row(34);
  uint16_t one = narrowToF16(1);
  std::memcpy(row.data(), &one, 2);
  for (int k = 0; k < 32; ++k)
    row[2 + k] = static_cast<std::byte>(w[k]);
  auto group = packRows(Format::Q8_0, {row}, 32);
  Q8Block block = quantizeBlock(x);
  double error = std::fabs(dotRow(Format::Q8_0, group.data(), 0, 32, &block) - 31 * 0.4999) / (std::sqrt(31.0) * norm(x));
  EXPECT_GT(error, 0.0218);
  EXPECT_LT(error, traits(Format::Q8_0).errorBound);
}

} // namespace
