// The only written functions against libm (a yardstick here, never used by the system) and at their edges.
#include "runtime/math/Functions.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>

namespace {
namespace math = heddle::math;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Every `stride`-th f32 in [low, high], both of one sign.
template <class Function> void sweep(float low, float high, uint32_t stride, Function visit) {
  uint32_t a = std::bit_cast<uint32_t>(low), b = std::bit_cast<uint32_t>(high);
  for (uint64_t bits = std::min(a, b); bits <= std::max(a, b); bits += stride)
    visit(std::bit_cast<float>(static_cast<uint32_t>(bits)));
}

double relative(double got, double want) { return std::fabs(got - want) / std::fabs(want); }

TEST(Functions, ExpF32) {
  double worst = 0;
  auto check = [&](float x) { worst = std::max(worst, relative(math::exp(x), std::exp(static_cast<double>(x)))); };
  sweep(0x1p-30f, 88.37626f, 1009, check);
  sweep(-0x1p-30f, -87.33654f, 1009, check);
  EXPECT_LT(worst, 2e-7);
}

TEST(Functions, ExpF32Edges) {
  EXPECT_EQ(math::exp(0.0f), 1.0f);
  EXPECT_EQ(math::exp(-0.0f), 1.0f);
  EXPECT_EQ(std::bit_cast<uint32_t>(math::exp(-kInfinity)), 0u); // +0
  EXPECT_EQ(std::bit_cast<uint32_t>(math::exp(-87.34f)), 0u);
  EXPECT_GT(math::exp(-87.33654f), 0.0f);
  EXPECT_GE(math::exp(-87.33654f), std::numeric_limits<float>::min()); // no subnormal comes out
  EXPECT_TRUE(std::isfinite(math::exp(kInfinity)));
  EXPECT_EQ(math::exp(kInfinity), math::exp(88.37626f));
  EXPECT_LT(relative(math::exp(1e30f), std::exp(static_cast<double>(88.37626f))), 3e-7);
  EXPECT_TRUE(std::isnan(math::exp(std::numeric_limits<float>::quiet_NaN())));
}

/// e^x limited to [-87.33654, 88.37626] before anything else, as Cephes has it: what exp leaves out of that must not show.
float expOfLimited(float x) {
  math::ScalarOps o;
  float y = std::isnan(x) ? x : std::min(std::max(x, -87.33654f), 88.37626f), n = std::nearbyint(y * 1.44269504f);
  float r = std::fma(n, 2.12194440e-4f, std::fma(n, -0.693359375f, y)), p = 1.9875691500e-4f;
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    p = std::fma(p, r, c);
  return x < -87.33654f ? 0.0f : (std::fma(p, r * r, r) + 1.0f) * o.exp2Integral(n);
}

TEST(Functions, ExpF32HasTheBitsOfItsLimitedForm) {
  auto same = [](float x) { ASSERT_EQ(std::bit_cast<uint32_t>(math::exp(x)), std::bit_cast<uint32_t>(expOfLimited(x))) << x; };
  auto alike = [](float x) {
    float got = math::expUnsaturated(math::ScalarOps{}, x);
    ASSERT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(expOfLimited(x))) << x;
  };
  sweep(-0.0f, -kInfinity, 4999, same), sweep(0.0f, kInfinity, 4999, same);
  sweep(-0.0f, -kInfinity, 4999, alike), sweep(0.0f, 88.37626f, 4999, alike);
  for (float x :
       {-87.33654f, std::nextafter(-87.33654f, -100.0f), -1e30f, std::numeric_limits<float>::lowest(), -kInfinity, 88.37626f})
    same(x), alike(x);
  EXPECT_TRUE(std::isnan(math::expUnsaturated(math::ScalarOps{}, std::numeric_limits<float>::quiet_NaN())));
}

TEST(Functions, ExpF32IsMonotonousAcrossReductions) { // softmax orders by it
  float last = 0;
  for (int i = -80000; i <= 80000; ++i) {
    float e = math::exp(static_cast<float>(i) * 1e-3f);
    ASSERT_GE(e, last) << i;
    last = e;
  }
}

TEST(Functions, TanhF32) {
  double worst = 0;
  auto check = [&](float x) { worst = std::max(worst, relative(math::tanh(x), std::tanh(static_cast<double>(x)))); };
  sweep(0x1p-60f, 100.0f, 1009, check);
  sweep(-0x1p-60f, -100.0f, 1009, check);
  EXPECT_LT(worst, 3e-7);
  EXPECT_EQ(math::tanh(0.0f), 0.0f);
  EXPECT_EQ(math::tanh(kInfinity), 1.0f);
  EXPECT_EQ(math::tanh(-kInfinity), -1.0f);
  EXPECT_LE(math::tanh(9.0f), 1.0f);
  EXPECT_TRUE(std::isnan(math::tanh(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Functions, ErfF32) {
  double worst = 0;
  auto check = [&](float x) { worst = std::max(worst, relative(math::erf(x), std::erf(static_cast<double>(x)))); };
  sweep(0x1p-60f, 100.0f, 1009, check);
  sweep(-0x1p-60f, -100.0f, 1009, check);
  EXPECT_LT(worst, 4e-7);
  EXPECT_EQ(math::erf(0.0f), 0.0f);
  for (float x : {3.91f, 10.0f, 1e30f, kInfinity}) {
    EXPECT_EQ(math::erf(x), 1.0f);
    EXPECT_EQ(math::erf(-x), -1.0f);
  }
  EXPECT_TRUE(std::isnan(math::erf(std::numeric_limits<float>::quiet_NaN())));
  float last = -1;
  for (int i = -500000; i <= 500000; ++i) {
    float y = math::erf(static_cast<float>(i) * 1e-5f);
    ASSERT_LE(std::fabs(y), 1.0f) << i;
    ASSERT_GE(y, last - 4e-7f) << i;
    last = y;
  }
}

TEST(Functions, ActivationsF32) {
  EXPECT_EQ(math::relu(-2.0f), 0.0f);
  EXPECT_EQ(math::relu(2.0f), 2.0f);
  EXPECT_TRUE(std::isnan(math::relu(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_EQ(math::gelu(-1e6f), 0.0f);
  EXPECT_EQ(math::gelu(1e6f), 1e6f);
  for (int i = -3000; i <= 3000; ++i) {
    float x = static_cast<float>(i) * 0.01f;
    double d = x, silu = d / (1 + std::exp(-d)), gelu = 0.5 * d * (1 + std::tanh(0.7978845608 * (d + 0.044715 * d * d * d)));
    EXPECT_NEAR(math::silu(x), silu, 4e-7 * std::fabs(silu) + 1e-30) << x;
    EXPECT_NEAR(math::geluTanh(x), gelu, 4e-7 * std::fabs(d)) << x;
    EXPECT_NEAR(math::gelu(x), 0.5 * d * (1 + std::erf(d / std::sqrt(2.0))), 4e-7 * std::fabs(d)) << x;
  }
}

TEST(Functions, LogF64) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> exponent(-1000, 1000), near(0.5, 2);
  double worst = 0;
  for (int i = 0; i < 400000; ++i) {
    double x = i % 2 ? std::exp2(exponent(random)) : near(random);
    worst = std::max(worst, relative(math::log(x), std::log(x)));
  }
  EXPECT_LT(worst, 2e-15);
  EXPECT_EQ(math::log(1.0), 0.0);
  EXPECT_NEAR(relative(math::log(5e-324), std::log(5e-324)), 0, 2e-15);
  EXPECT_EQ(math::log(0.0), -INFINITY);
  EXPECT_EQ(math::log(static_cast<double>(INFINITY)), INFINITY);
  EXPECT_TRUE(std::isnan(math::log(-1.0)));
}

TEST(Functions, ExpF64) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> wide(-690, 690), narrow(-1, 1);
  double worst = 0;
  for (int i = 0; i < 400000; ++i) {
    double x = i % 2 ? wide(random) : narrow(random);
    worst = std::max(worst, relative(math::exp(x), std::exp(x)));
  }
  EXPECT_LT(worst, 1e-15);
  EXPECT_EQ(math::exp(0.0), 1.0);
}

TEST(Functions, SinCosF64) {
  std::mt19937_64 random(3);
  for (double limit : {0.8, 7.0, 1e3, 1e6, 1073741823.0}) {
    std::uniform_real_distribution<double> angle(-limit, limit);
    double worst = 0;
    for (int i = 0; i < 200000; ++i) {
      double x = angle(random), s, c;
      math::sincos(x, s, c);
      worst = std::max({worst, std::fabs(s - std::sin(x)), std::fabs(c - std::cos(x))});
    }
    EXPECT_LT(worst, 1e-15) << limit;
  }
}

TEST(Functions, SinCosNearMultiplesOfHalfPi) { // cancellation shows here first: relative error of the small one
  double worst = 0;
  for (int64_t n = 1; n < 680000000; n += 1 + n / 97) {
    double x = n * 1.57079632679489661923, s, c;
    math::sincos(x, s, c);
    double got = n % 2 ? c : s, want = n % 2 ? std::cos(x) : std::sin(x);
    worst = std::max(worst, relative(got, want));
  }
  EXPECT_LT(worst, 1e-15);
  double s, c;
  math::sincos(0.0, s, c);
  EXPECT_EQ(s, 0.0);
  EXPECT_EQ(c, 1.0);
}

} // namespace
