// Quantised activations against the formulas of docs/arithmetic.md.
#include "runtime/quant/Activation.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace heddle;

namespace {

TEST(Activation, FollowsTheFormula) {
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 2000; ++round) {
    float x[32], amax = 0, magnitude = std::exp2(static_cast<float>(round % 120 - 60));
    for (float &v : x)
      amax = std::max(amax, std::fabs(v = normal(random) * magnitude));
    Q8Block block = quantizeBlock(x);
    ASSERT_EQ(block.d, amax / 127.0f);
    int sums[2] = {0, 0};
    for (int i = 0; i < 32; ++i) {
      ASSERT_EQ(block.q[i], std::nearbyint(x[i] * (127.0f / amax)));
      ASSERT_LE(std::fabs(x[i] - block.q[i] * static_cast<double>(block.d)), 0.50001 * block.d);
      sums[i / 16] += block.q[i];
    }
    ASSERT_EQ(block.s0, sums[0]);
    ASSERT_EQ(block.s1, sums[1]);
  }
}

TEST(Activation, RoundsHalvesToEvenAndReachesBothEnds) {
  float x[32] = {127, -127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f};
  Q8Block block = quantizeBlock(x);
  const int want[9] = {127, -127, 0, 2, 2, 0, -2, -2, 126};
  for (int i = 0; i < 9; ++i)
    EXPECT_EQ(block.q[i], want[i]) << i;
  EXPECT_EQ(block.d, 1.0f);
}

TEST(Activation, TinyBlocksAreZero) {
  float x[32];
  std::fill(x, x + 32, std::nextafter(0x1p-100f, 0.0f));
  Q8Block block = quantizeBlock(x);
  EXPECT_EQ(block.d, 0.0f);
  EXPECT_EQ(block.q[5], 0);
  x[7] = -0x1p-100f; // exactly at the limit counts
  block = quantizeBlock(x);
  EXPECT_EQ(block.d, 0x1p-100f / 127.0f);
  EXPECT_EQ(block.q[7], -127);
}

// Nothing may hide a NaN or an infinity: d carries it, 0 · d is NaN in every product, and the request fails by name.
TEST(Activation, NonFiniteValuesReachTheScale) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
                    std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()})
    for (int at : {0, 13, 31}) {
      float x[32] = {1, 2, 3, 4};
      x[at] = bad;
      Q8Block block = quantizeBlock(x);
      EXPECT_EQ(std::isnan(block.d), std::isnan(bad));
      EXPECT_FALSE(std::isfinite(block.d));
      for (int i = 0; i < 32; ++i)
        EXPECT_EQ(block.q[i], 0);
      EXPECT_EQ(block.s0 + block.s1, 0);
    }
  float both[32] = {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
  EXPECT_TRUE(std::isnan(quantizeBlock(both).d)); // a NaN is larger than all
}

} // namespace
