//===- TinyModelTest.cpp - the generator of tiny models itself ------------------------------------------------------===//
#include "tests/unit/reference/Modules.h"
#include <cmath>
#include <cstring>

using namespace heddle;
using namespace heddle::test;

namespace {

TEST(RandomRows, HaveTheSpreadOfTrainedWeights) {
  for (Format format : kFormats) {
    std::mt19937_64 random(5);
    double sum = 0, squares = 0;
    int64_t n = 0;
    for (int r = 0; r < 64; ++r) {
      auto row = randomRow(format, 512, random);
      ASSERT_EQ(row.size(), static_cast<size_t>(traits(format).rowBytes(512)));
      std::vector<double> values(512);
      dequantizeRow(format, row.data(), 512, values.data());
      for (double v : values)
        sum += v, squares += v * v, ++n;
    }
    double deviation = std::sqrt(squares / static_cast<double>(n)) * std::sqrt(512.0);
    EXPECT_GT(deviation, 0.7) << traits(format).name;
    EXPECT_LT(deviation, 1.4) << traits(format).name;
    EXPECT_LT(std::abs(sum / static_cast<double>(n)) * std::sqrt(512.0), 0.15) << traits(format).name;
  }
}

/// The two ways to a row agree: file blocks → f64, and file blocks → packed group → codes, scales, minima.
TEST(PackedWeights, IntegerAndFloatRowsAreTheExactOnes) {
  for (Format format : kFormats) {
    PackedWeights weights;
    weights.add("w", randomWeight(format, 21, 256, 11)); // the second group is short
    ASSERT_EQ(weights.shape("w")->rows, 21);
    for (int64_t row : {0, 15, 16, 20}) {
      std::vector<double> exact(256);
      weights.exactRow("w", row, exact.data());
      if (!traits(format).quantized) {
        std::vector<float> floats(256);
        weights.floatRow("w", row, floats.data());
        for (size_t k = 0; k < 256; ++k)
          EXPECT_EQ(static_cast<double>(floats[k]), exact[k]);
        continue;
      }
      reference::IntegerRow r;
      weights.integerRow("w", row, r);
      EXPECT_EQ(r.scales.size(), static_cast<size_t>(256 / r.subBlock));
      for (size_t k = 0; k < 256; ++k) {
        size_t sub = k / static_cast<size_t>(r.subBlock);
        double value = r.codes[k] * static_cast<double>(r.scales[sub]) + (r.hasMinimum ? static_cast<double>(r.minima[sub]) : 0);
        EXPECT_NEAR(value, exact[k], 1e-9) << traits(format).name;
      }
    }
  }
  EXPECT_FALSE(PackedWeights().shape("w"));
}

TEST(TinyModel, IsTheSameForTheSameSeed) {
  TinyConfig config;
  config.formats = {{"attn_q", Format::Q4_0}, {"blk.1.ffn_up.weight", Format::Q8_0}};
  TinyModel a = makeTinyModel(config), b = makeTinyModel(config);
  config.seed = 2;
  TinyModel c = makeTinyModel(config);
  EXPECT_EQ(a.weights.size(), 3u + 2 * 9);
  EXPECT_EQ(ggufBytes(a), ggufBytes(b));
  EXPECT_NE(ggufBytes(a), ggufBytes(c));
  EXPECT_EQ(a.weights.at("blk.0.attn_q.weight").format, Format::Q4_0);
  EXPECT_EQ(a.weights.at("blk.0.ffn_up.weight").format, Format::F32);
  EXPECT_EQ(a.weights.at("blk.1.ffn_up.weight").format, Format::Q8_0);
}

TEST(TinyModel, GemmaHasItsOwnNorms) {
  TinyConfig config;
  config.architecture = "gemma3", config.headDim = 32, config.window = 48;
  TinyModel m = makeTinyModel(config);
  EXPECT_EQ(m.weights.count("output.weight"), 0u);
  EXPECT_EQ(m.weights.at("blk.1.attn_q_norm.weight").columns, 32);
  EXPECT_EQ(m.weights.at("blk.1.post_ffw_norm.weight").columns, 64);
}

TEST(TinyModel, RefusesRowsThatDoNotDivide) {
  TinyConfig config;
  config.weights = Format::Q4_K;
  EXPECT_THROW(makeTinyModel(config), std::invalid_argument);
}

TEST(TinyGguf, StartsAndEndsAsTheFormatSays) {
  TinyConfig config;
  auto bytes = ggufBytes(makeTinyModel(config));
  ASSERT_GT(bytes.size(), 24u);
  EXPECT_EQ(std::memcmp(bytes.data(), "GGUF\3\0\0\0", 8), 0);
  EXPECT_EQ(bytes.size() % 32, 0u);
}

} // namespace
