//===- FormulasTest.cpp - the one arithmetic row by row, against other ways to compute it ---------------------------===//
#include "ir/reference/Formulas.h"
#include "runtime/math/Functions.h"
#include "tests/unit/reference/Modules.h"
#include <bit>
#include <cmath>
#include <random>

using namespace heddle::reference;
using namespace heddle::test;

namespace {

TEST(Half, EveryHalfSurvivesAndEveryMidpointGoesToEven) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto half = static_cast<uint16_t>(bits);
    float value = fromHalf(half);
    EXPECT_EQ(std::isnan(value), (bits & 0x7fff) > 0x7c00);
    if (std::isnan(value))
      continue;
    EXPECT_EQ(value, static_cast<float>(std::bit_cast<_Float16>(half)));
    EXPECT_EQ(toHalf(value), half);
    if ((bits & 0x7fff) >= 0x7bff)
      continue;                                                                          // the next one up is infinite
    float next = fromHalf(static_cast<uint16_t>(bits + 1)), middle = (value + next) / 2; // exact
    EXPECT_EQ(toHalf(middle), bits & 1 ? bits + 1 : bits);
    EXPECT_EQ(toHalf(std::nextafter(middle, value)), bits);
    EXPECT_EQ(toHalf(std::nextafter(middle, next)), bits + 1);
  }
  EXPECT_EQ(toHalf(65519.996f), 0x7bff);
  EXPECT_EQ(toHalf(65520.0f), 0x7c00);
  EXPECT_EQ(toHalf(-INFINITY), 0xfc00);
  EXPECT_TRUE(std::isnan(fromHalf(toHalf(NAN))));
}

TEST(Half, AgreesWithTheMachineOnRandomBits) {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    auto x = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isnan(x))
      EXPECT_EQ(toHalf(x), std::bit_cast<uint16_t>(static_cast<_Float16>(x))) << x;
  }
}

TEST(Lanes, FoldInTheWrittenTree) {
  Lanes lanes;
  for (int i = 0; i < 16; ++i)
    lanes.partial[i] = std::exp2f(static_cast<float>(3 * i)); // far apart: another tree would round otherwise
  const float *p = lanes.partial;
  float a[8];
  for (int i = 0; i < 8; ++i)
    a[i] = p[i] + p[i + 8];
  float expected = ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
  EXPECT_EQ(lanes.fold(), expected);
}

TEST(Quantize, FollowsItsRule) {
  float x[32] = {};
  int8_t q[32];
  x[3] = -2.0f, x[4] = 1.0f, x[5] = 2.0f / 127 * 1.5f, x[6] = 2.0f / 127 * 2.5f, x[7] = 2.0f;
  EXPECT_EQ(One::quantize(x, q), 2.0f / 127.0f);
  EXPECT_EQ(q[3], -127);
  EXPECT_EQ(q[4], 64); // 63.5 goes to even
  EXPECT_EQ(q[5], 2);
  EXPECT_EQ(q[6], 2);
  EXPECT_EQ(q[7], 127);
  EXPECT_EQ(q[0], 0);

  x[9] = INFINITY;
  EXPECT_EQ(One::quantize(x, q), INFINITY);
  EXPECT_EQ(q[3], 0);
  EXPECT_EQ(q[9], 0);

  x[8] = NAN; // larger than all: it stays in the scale and shows in the logits
  EXPECT_TRUE(std::isnan(One::quantize(x, q)));
  EXPECT_EQ(q[8], 0);

  float tiny[32] = {0x1.fffp-101f};
  EXPECT_EQ(One::quantize(tiny, q), 0.0f);
  EXPECT_EQ(q[0], 0);
  tiny[0] = 0x1p-100f;
  EXPECT_EQ(One::quantize(tiny, q), 0x1p-100f / 127.0f);
  EXPECT_EQ(q[0], 127);
}

/// Scales and minima that are powers of two make every step exact, so the sum is the integers' own.
TEST(Products, AreExactWhereRoundingCannotHappen) {
  for (int64_t subBlock : {16, 32})
    for (bool minimum : {false, true}) {
      if (minimum && subBlock == 16)
        continue;
      std::mt19937 random(7);
      One::Row row;
      row.quantized = true;
      row.integers.subBlock = subBlock;
      row.integers.hasMinimum = minimum;
      Q8Rows q8;
      double expected = 0;
      for (int64_t k = 0; k < 96; ++k) {
        row.integers.codes.push_back(static_cast<int8_t>(random() % 63 - 31));
        q8.q.push_back(static_cast<int8_t>(random() % 255 - 127));
        if (k % subBlock == 0) {
          row.integers.scales.push_back(std::ldexp(1.0f, static_cast<int>(random() % 3)));
          if (minimum)
            row.integers.minima.push_back(-std::ldexp(1.0f, static_cast<int>(random() % 3)));
        }
        if (k % 32 == 0)
          q8.d.push_back(std::ldexp(1.0f, -static_cast<int>(random() % 3)));
        double w = static_cast<double>(row.integers.codes.back()) * static_cast<double>(row.integers.scales.back());
        if (minimum)
          w += static_cast<double>(row.integers.minima.back());
        expected += w * q8.q.back() * static_cast<double>(q8.d.back());
        EXPECT_EQ(static_cast<double>(One::element(row, k)), w);
      }
      Tensor x;
      x.shape = {1, 96};
      x.data = std::move(q8);
      EXPECT_EQ(static_cast<double>(One::dot(row, x, 0)), expected) << subBlock << minimum;
    }
}

/// One rounding less or a sum in another order shows: 2^24 + 1 is no float, so the small terms vanish one by one.
TEST(Products, RoundInIncreasingK) {
  One::Row row;
  row.floats = {16777216.0f, 1.0f, 1.0f, -16777216.0f};
  EXPECT_EQ(One::dot(row, tensor<float>({1, 4}, {1, 1, 1, 1}), 0), 0.0f);
  row.floats = {1.0f, 1.0f, 16777216.0f, -16777216.0f};
  EXPECT_EQ(One::dot(row, tensor<float>({1, 4}, {1, 1, 1, 1}), 0), 2.0f);
}

TEST(Activations, HaveKnownValues) {
  EXPECT_NEAR(Exact::activate(Function::silu, 1.0), 0.73105857863000487925, 1e-15);
  EXPECT_NEAR(Exact::activate(Function::geluTanh, 1.0), 0.84119199060827, 1e-12);
  for (int i = -4000; i <= 4000; ++i) {
    float x = static_cast<float>(i) / 200.0f;
    for (Function f : {Function::silu, Function::geluTanh, Function::gelu, Function::relu, Function::tanh})
      EXPECT_NEAR(static_cast<double>(One::activate(f, x)), Exact::activate(f, static_cast<double>(x)),
                  4e-7 * std::max(1.0, std::abs(static_cast<double>(x))));
  }
}

TEST(Norm, IsCloseToTheMathematics) {
  auto x = noise<float>(75, 1), w = noise<float>(75, 2);
  auto xd = noise<double>(75, 1), wd = noise<double>(75, 2);
  std::vector<float> y(75);
  One::norm(x.data(), w.data(), 75, 1e-5f, y.data());
  double squares = 0;
  for (double v : xd)
    squares += v * v;
  for (size_t i = 0; i < 75; ++i)
    EXPECT_NEAR(static_cast<double>(y[i]), xd[i] / std::sqrt(squares / 75 + 1e-5) * wd[i], 1e-6);
}

/// Element i in lane i mod 16, fused; the tree; then x·r before the weight. Other orders give other bits for these numbers.
static void checkNormBits(uint64_t seed) {
  auto x = noise<float>(75, seed), w = noise<float>(75, seed + 1);
  std::vector<float> y(75);
  One::norm(x.data(), w.data(), 75, 1e-5f, y.data());
  float lanes[16] = {};
  for (size_t lane = 0; lane < 16; ++lane)
    for (size_t i = lane; i < 75; i += 16)
      lanes[lane] = std::fma(x[i], x[i], lanes[lane]);
  for (size_t width : {8, 4, 2, 1})
    for (size_t j = 0; j < width; ++j)
      lanes[j] += lanes[j + width];
  float r = 1.0f / std::sqrt(lanes[0] / 75.0f + 1e-5f);
  for (size_t i = 0; i < 75; ++i)
    EXPECT_EQ(y[i], (x[i] * r) * w[i]);
}
/// The mean by lanes and tree, then the squares of what is apart from it; the bias fused. Other orders give other bits.
static void checkLayerNormBits(uint64_t seed, bool withBias) {
  auto x = noise<float>(75, seed), w = noise<float>(75, seed + 1), b = noise<float>(75, seed + 2);
  std::vector<float> y(75);
  One::layerNorm(x.data(), w.data(), withBias ? b.data() : nullptr, 75, 1e-5f, y.data());
  auto fold = [](float(&lanes)[16]) {
    for (size_t width : {8, 4, 2, 1})
      for (size_t j = 0; j < width; ++j)
        lanes[j] += lanes[j + width];
    return lanes[0];
  };
  float sums[16] = {}, squares[16] = {};
  for (size_t i = 0; i < 75; ++i)
    sums[i % 16] += x[i];
  float mean = fold(sums) / 75.0f;
  for (size_t i = 0; i < 75; ++i)
    squares[i % 16] = std::fma(x[i] - mean, x[i] - mean, squares[i % 16]);
  float r = 1.0f / std::sqrt(fold(squares) / 75.0f + 1e-5f);
  for (size_t i = 0; i < 75; ++i)
    EXPECT_EQ(y[i], withBias ? std::fma((x[i] - mean) * r, w[i], b[i]) : ((x[i] - mean) * r) * w[i]);
}
TEST(LayerNorm, HasTheWrittenBits) {
  for (uint64_t seed = 1; seed < 20; ++seed)
    checkLayerNormBits(seed, seed % 2);
}

TEST(LayerNorm, ExactHasNoMeanAndTheVarianceOfItsWeights) {
  auto x = noise<double>(75, 1);
  for (double &v : x)
    v += 3; // far from 0
  std::vector<double> ones(75, 1), y(75);
  Exact::layerNorm(x.data(), ones.data(), nullptr, 75, 1e-12f, y.data());
  double sum = 0, squares = 0;
  for (double v : y)
    sum += v, squares += v * v;
  EXPECT_NEAR(sum, 0, 1e-10);
  EXPECT_NEAR(squares / 75, 1, 1e-10); // divided by n, not by n − 1
}

TEST(Norm, HasTheWrittenBits) {
  for (uint64_t seed = 0; seed < 50; ++seed) // one set of numbers may round alike either way
    checkNormBits(seed);
}

/// Chunks as a kernel sees them: all 64 keys, p = +0 for an invisible one. The window begins inside a chunk, so that a key's
/// index in its chunk is not its index among the visible ones.
static void checkAttentionBits(uint64_t seed) {
  constexpr int64_t tokens = 150, dim = 6, first = 21;
  auto k = noise<double>(tokens * dim, seed), v = noise<double>(tokens * dim, seed + 1);
  auto q = noise<float>(dim, seed + 2);
  std::vector<Key> keys;
  for (int64_t p = first; p < tokens; ++p)
    keys.push_back({p, p, k.data() + p * dim, v.data() + p * dim});
  float out[dim];
  One::attend({q.data(), dim, 4.0f, nullptr}, keys, out, nullptr);

  float M = 0, L = 0, O[dim] = {};
  for (int64_t chunk = 0; chunk < 3; ++chunk) {
    float s[64], m = -INFINITY, l[16] = {}, o[dim] = {};
    for (int64_t t = 0; t < 64; ++t) {
      int64_t p = chunk * 64 + t;
      s[t] = -INFINITY;
      if (p < first || p >= tokens)
        continue;
      s[t] = 0.0f;
      for (int64_t j = 0; j < dim; ++j)
        s[t] = std::fma(q[static_cast<size_t>(j)], static_cast<float>(k[static_cast<size_t>(p * dim + j)]), s[t]);
      s[t] = 4.0f * heddle::math::tanh(s[t] / 4.0f);
      m = std::max(m, s[t]);
    }
    for (int64_t t = 0; t < 64; ++t) {
      float p = heddle::math::exp(s[t] - m);
      l[t % 16] += p;
      for (int64_t j = 0; j < dim && s[t] > -INFINITY; ++j)
        o[j] = std::fma(p, static_cast<float>(v[static_cast<size_t>((chunk * 64 + t) * dim + j)]), o[j]);
    }
    float sum = ((l[0] + l[8]) + (l[4] + l[12])) + ((l[2] + l[10]) + (l[6] + l[14])) +
                (((l[1] + l[9]) + (l[5] + l[13])) + ((l[3] + l[11]) + (l[7] + l[15])));
    if (chunk == 0) {
      M = m, L = sum, std::copy_n(o, dim, O);
      continue;
    }
    float next = std::max(M, m), a = heddle::math::exp(M - next), b = heddle::math::exp(m - next);
    L = std::fma(L, a, sum * b);
    for (int64_t j = 0; j < dim; ++j)
      O[j] = std::fma(O[j], a, o[j] * b);
    M = next;
  }
  for (int64_t j = 0; j < dim; ++j)
    EXPECT_EQ(out[j], O[j] / L);
}
TEST(Attention, HasTheWrittenBits) {
  for (uint64_t seed = 0; seed < 50; ++seed)
    checkAttentionBits(seed);
}

TEST(Rope, RotatesThePairsOfItsStyle) {
  Rope rope{8, 10000.0, 2.0, {1, 1, 4, 1}, 1.5};
  for (bool interleaved : {true, false}) {
    std::vector<double> head(10);
    int64_t first = interleaved ? 4 : 2, second = interleaved ? 5 : 6; // pair 2
    head[static_cast<size_t>(first)] = 1;
    head[9] = 5; // past dims
    Exact::rotate(rope, interleaved, 3000, head.data());
    double angle = 3000 * std::pow(10000.0, -4.0 / 8) / (2.0 * 4);
    EXPECT_NEAR(head[static_cast<size_t>(first)], 1.5 * std::cos(angle), 1e-12);
    EXPECT_NEAR(head[static_cast<size_t>(second)], 1.5 * std::sin(angle), 1e-12);
    EXPECT_EQ(head[9], 5);
    EXPECT_EQ(head[0], 0);
  }
}

TEST(Rope, HasTheWrittenBits) {
  Rope rope{32, 10000.0, 1.0, {}, 1.1};
  for (int64_t position = 0; position < 200; ++position) {
    auto x = noise<float>(32, static_cast<uint64_t>(position)), y = x;
    One::rotate(rope, false, position, y.data());
    for (size_t i = 0; i < 16; ++i) {
      double sine, cosine, frequency = heddle::math::exp(-(2.0 * static_cast<double>(i) / 32.0 * heddle::math::log(10000.0)));
      heddle::math::sincos(static_cast<double>(position) * frequency, sine, cosine);
      auto c = static_cast<float>(cosine * 1.1), s = static_cast<float>(sine * 1.1);
      EXPECT_EQ(y[i], std::fma(x[i], c, -(x[i + 16] * s)));
      EXPECT_EQ(y[i + 16], std::fma(x[i], s, x[i + 16] * c));
    }
  }
}

TEST(Rope, OneArithmeticIsCloseFarOut) {
  Rope rope{64, 500000.0, 1.0, {}};
  for (int64_t position : {0, 1, 63, 1000, 131071}) {
    auto x = noise<float>(64, 3);
    auto exact = noise<double>(64, 3);
    One::rotate(rope, true, position, x.data());
    Exact::rotate(rope, true, position, exact.data());
    for (size_t i = 0; i < 64; ++i)
      EXPECT_NEAR(static_cast<double>(x[i]), exact[i], 1e-6) << position;
  }
}

/// An infinity in the cache would spoil queries that do not see it: +0 times it is no number.
TEST(Cache, HoldsFiniteNumbers) {
  const float x[] = {1e6f, -1e6f, 65504.0f, 1.0f};
  double out[4];
  One::cache(x, 4, /*q8=*/false, out);
  EXPECT_EQ(std::vector(out, out + 4), std::vector<double>({65504, -65504, 65504, 1}));
}

} // namespace
