// The packed bytes against runtime/quant/README.md, read here a second time from its text: kernels rely on every one of them.
#include "runtime/quant/Dot.h"
#include "tests/unit/quant/RandomRows.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace heddle;
using namespace heddle::test;

namespace {

int at(const std::byte *p, int64_t i) { return static_cast<int>(p[i]); }

/// nibbles[256]: vector j holds quad 2j in the low nibbles and quad 2j+1 in the high ones; byte lane*4 + k%4.
int nibble(const std::byte *nibbles, int lane, int k) {
  int quad = k / 4, byte = at(nibbles, quad / 2 * 64 + lane * 4 + k % 4);
  return quad % 2 == 0 ? byte % 16 : byte / 16;
}
/// high[64]: byte lane*4 + b holds in bit q the fifth bit of element k = 4q + b.
int fifth(const std::byte *high, int lane, int k) { return at(high, lane * 4 + k % 4) >> (k / 4) & 1; }
/// high2[128]: two vectors, quads 0–3 and 4–7; bits 2i, 2i+1 of byte lane*4 + b are the top bits of quad i of the vector.
int topTwo(const std::byte *high2, int lane, int k) {
  int quad = k / 4;
  return at(high2, quad / 4 * 64 + lane * 4 + k % 4) >> (quad % 4 * 2) & 3;
}
float half(const std::byte *p, int lane) { return widenF16(static_cast<uint16_t>(at(p, 2 * lane) | at(p, 2 * lane + 1) << 8)); }

struct Element {
  int code;
  float scale, minimum;
};

/// Element (lane, k) of one packed block, by the README's table.
Element element(Format format, const std::byte *p, int lane, int k) {
  int sub = k / 32, j = k % 32;
  switch (format) {
  case Format::MXFP4: {
    const int values[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    return {values[nibble(p + 16, lane, k)], std::ldexp(1.0f, at(p, lane) - 128), 0};
  }
  case Format::Q4_0:
    return {nibble(p + 32, lane, k) - 8, half(p, lane), 0};
  case Format::Q4_1:
    return {nibble(p + 64, lane, k), half(p, lane), half(p + 32, lane)};
  case Format::Q5_0:
    return {nibble(p + 32, lane, k) + 16 * fifth(p + 288, lane, k) - 16, half(p, lane), 0};
  case Format::Q5_1:
    return {nibble(p + 64, lane, k) + 16 * fifth(p + 320, lane, k), half(p, lane), half(p + 32, lane)};
  case Format::Q8_0:
    return {static_cast<int8_t>(at(p, 32 + k / 4 * 64 + lane * 4 + k % 4)), half(p, lane), 0};
  case Format::Q4_K: {
    const std::byte *s = p + 64 + sub * 288;
    return {nibble(s + 32, lane, j), half(p, lane) * at(s, lane), -(half(p + 32, lane) * at(s, 16 + lane))};
  }
  case Format::Q5_K: {
    const std::byte *s = p + 64 + sub * 352;
    int code = nibble(s + 32, lane, j) + 16 * fifth(s + 288, lane, j);
    return {code, half(p, lane) * at(s, lane), -(half(p + 32, lane) * at(s, 16 + lane))};
  }
  case Format::Q6_K: {
    const std::byte *s = p + 32 + sub * 416;
    int code = nibble(s + 32, lane, j) + 16 * topTwo(s + 288, lane, j) - 32;
    return {code, half(p, lane) * static_cast<int8_t>(at(s, j / 16 * 16 + lane)), 0};
  }
  default:
    throw std::logic_error("not a quantised format");
  }
}

TEST(Layout, MatchesTheReadme) {
  std::mt19937_64 random(21);
  for (Format format : kFormats) {
    const FormatTraits &t = traits(format);
    if (!t.quantized)
      continue;
    const int64_t columns = 512;
    std::vector<std::vector<std::byte>> rows;
    for (int i = 0; i < 16; ++i)
      rows.push_back(randomRow(format, columns, random));
    auto group = packRows(format, rows, columns);
    for (int lane = 0; lane < 16; ++lane) {
      std::vector<double> want(columns);
      dequantizeRow(format, rows[lane].data(), columns, want.data());
      QuantizedRow seen = quantizedRow(format, group.data(), lane, columns);
      for (int64_t k = 0; k < columns; ++k) {
        Element e =
            element(format, group.data() + k / t.blockElements * t.packedBytes, lane, static_cast<int>(k % t.blockElements));
        ASSERT_EQ(static_cast<double>(e.code) * e.scale + e.minimum, want[k]) << nameOf(format) << " lane " << lane << " k " << k;
        ASSERT_EQ(e.code, seen.codes[k]);
        ASSERT_EQ(e.scale, seen.scales[k / seen.view.subBlock]);
      }
    }
  }
}

TEST(Layout, FloatsOfOneKStandTogether) {
  std::mt19937_64 random(22);
  for (Format format : {Format::F32, Format::F16, Format::BF16}) {
    const int64_t columns = 40, size = traits(format).blockBytes;
    std::vector<std::vector<std::byte>> rows;
    for (int i = 0; i < 16; ++i)
      rows.push_back(randomRow(format, columns, random));
    auto group = packRows(format, rows, columns);
    for (int64_t k = 0; k < columns; ++k)
      for (int64_t lane = 0; lane < 16; ++lane)
        ASSERT_EQ(std::memcmp(group.data() + (k * 16 + lane) * size, rows[lane].data() + k * size, size), 0) << nameOf(format);
  }
}

} // namespace
