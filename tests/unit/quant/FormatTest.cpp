// Every format against the Python package gguf (Golden.inc), and packed rows against file rows.
#include "runtime/quant/Dot.h"
#include "runtime/quant/Finite.h"
#include "tests/unit/quant/RandomRows.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace heddle;
using namespace heddle::test;

namespace {

struct Golden {
  Format format;
  std::vector<int> bytes;
  std::vector<uint32_t> values;
};
const std::vector<Golden> kGolden = {
#include "tests/unit/quant/Golden.inc"
};

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

/// The row's values from the packed codes, in f64.
std::vector<double> packedValues(Format format, const std::byte *group, int lane, int64_t columns) {
  std::vector<double> out(columns);
  if (!traits(format).quantized) {
    std::vector<float> row(columns);
    widenRow(format, group, lane, columns, row.data());
    out.assign(row.begin(), row.end());
    return out;
  }
  QuantizedRow row = quantizedRow(format, group, lane, columns);
  for (int64_t k = 0; k < columns; ++k) {
    int64_t sub = k / row.view.subBlock;
    out[k] = row.codes[k] * static_cast<double>(row.scales[sub]) + (row.view.hasMinimum ? row.minima[sub] : 0.0);
  }
  return out;
}

TEST(Format, TableIsConsistent) {
  for (Format format : kFormats) {
    const FormatTraits &t = traits(format);
    EXPECT_EQ(t.format, format);
    EXPECT_EQ(formatByName(t.name), format);
    EXPECT_EQ(formatByGgmlType(t.ggmlType), format);
    EXPECT_GT(t.errorBound, 0);
  }
  EXPECT_FALSE(formatByName("q2_k"));
  EXPECT_FALSE(formatByGgmlType(10));
  EXPECT_EQ(traits(Format::Q4_K).rowBytes(512), 288);
  EXPECT_EQ(traits(Format::Q4_1).groupBytes(576), 18 * 320);
}

TEST(Format, DequantizesAsThePythonPackageDoes) {
  ASSERT_EQ(kGolden.size(), kFormats.size() - 1); // f32 needs none
  for (const Golden &g : kGolden) {
    std::vector<std::byte> bytes;
    for (int b : g.bytes)
      bytes.push_back(static_cast<std::byte>(b));
    ASSERT_EQ(static_cast<int64_t>(bytes.size()), traits(g.format).rowBytes(256)) << nameOf(g.format);
    std::vector<double> values(256);
    dequantizeRow(g.format, bytes.data(), 256, values.data());
    for (int k = 0; k < 256; ++k)
      ASSERT_EQ(static_cast<float>(values[k]), std::bit_cast<float>(g.values[k])) << nameOf(g.format) << " element " << k;
  }
}

class PackedFormat : public testing::TestWithParam<Format> {};

TEST_P(PackedFormat, HoldsTheFileRowsExactly) {
  std::mt19937_64 random(11);
  for (bool anyBits : {false, true})
    for (int64_t columns : {256, 1536}) {
      std::vector<std::vector<std::byte>> rows;
      for (int i = 0; i < 16; ++i)
        rows.push_back(anyBits ? randomBytes(traits(GetParam()).rowBytes(columns), random)
                               : randomRow(GetParam(), columns, random));
      auto group = packRows(GetParam(), rows, columns);
      for (int lane = 0; lane < 16; ++lane) {
        std::vector<double> want(columns), got = packedValues(GetParam(), group.data(), lane, columns);
        dequantizeRow(GetParam(), rows[lane].data(), columns, want.data());
        for (int64_t k = 0; k < columns; ++k)
          ASSERT_PRED2(same, got[k], want[k]) << "lane " << lane << " element " << k;
      }
    }
}

/// Of any bytes at all: those, and only those, that stand for finite numbers.
TEST_P(PackedFormat, FiniteIsWhatHasFiniteValues) {
  std::mt19937_64 random(14);
  const int64_t columns = 2 * traits(GetParam()).blockElements;
  int seen[2] = {};
  for (int i = 0; i < 20000; ++i) {
    auto bytes = randomBytes(1 + traits(GetParam()).rowBytes(columns), random); // one byte before: rows have no alignment
    std::vector<double> values(columns);
    dequantizeRow(GetParam(), bytes.data() + 1, columns, values.data());
    bool finite = std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
    ASSERT_EQ(allFinite(GetParam(), bytes.data() + 1, columns), finite);
    ++seen[finite];
  }
  EXPECT_GT(seen[true], 0);
  EXPECT_EQ(seen[false] > 0, GetParam() != Format::MXFP4); // whose exponents are all powers of two
}

TEST_P(PackedFormat, PadsMissingRowsWithZeros) {
  std::mt19937_64 random(12);
  auto group = packRows(GetParam(), {randomRow(GetParam(), 256, random), randomRow(GetParam(), 256, random)}, 256);
  for (int lane = 0; lane < 16; ++lane) {
    auto values = packedValues(GetParam(), group.data(), lane, 256);
    bool zero = std::all_of(values.begin(), values.end(), [](double v) { return v == 0; });
    EXPECT_EQ(zero, lane >= 2) << lane;
  }
}

TEST_P(PackedFormat, ReadsEmbeddingsByTheWrittenArithmetic) {
  std::mt19937_64 random(13);
  std::vector<std::byte> row = randomRow(GetParam(), 512, random);
  auto group = packRows(GetParam(), {row}, 512);
  std::vector<double> exact(512);
  std::vector<float> got(512);
  dequantizeRow(GetParam(), row.data(), 512, exact.data());
  readRow(GetParam(), group.data(), 0, 512, got.data());
  for (int k = 0; k < 512; ++k) {
    // fma(c, D, M) and c * D round the exact value once.
    ASSERT_EQ(got[k], static_cast<float>(exact[k])) << k;
    ASSERT_EQ(valueAt(GetParam(), group.data(), 0, k), got[k]) << k;
  }
}

INSTANTIATE_TEST_SUITE_P(All, PackedFormat, testing::ValuesIn(kFormats), [](const auto &info) { return nameOf(info.param); });

TEST(Half, WidensAndNarrows) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float x = widenF16(static_cast<uint16_t>(bits));
    if (x == x)
      ASSERT_EQ(narrowToF16(x), bits);
  }
  EXPECT_EQ(widenF16(0x3c01), 1.0f + 0x1p-10f);
  EXPECT_EQ(widenF16(0x0001), 0x1p-24f);
  EXPECT_EQ(narrowToF16(1.0f + 0x1p-11f), 0x3c00);     // tie to even, down
  EXPECT_EQ(narrowToF16(1.0f + 3 * 0x1p-11f), 0x3c02); // tie to even, up
  EXPECT_EQ(narrowToF16(65520.0f), 0x7c00);            // infinity
  EXPECT_EQ(widenBF16(0x4049), 3.140625f);
}

} // namespace
