//===- Q4_1.cpp - 32 × 4 bit, scale and minimum -----------------------------------------------------------------===//
//
// File: d f16; m f16; qs[16], element j in the low nibble of qs[j], element j + 16 in the high one.
// Packed: d f16[16]; m f16[16]; nibbles[256].
// Product: c = 0..15; D = f32(d); M = f32(m).
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/Encoding.h"
#include "runtime/quant/Planes.h"

namespace heddle::quant {
namespace {
struct Q4_1 {
  static constexpr FormatTraits traits = {Format::Q4_1, "q4_1", 3, 32, 20, 320, true, kQ8Bound};
  static constexpr RowView view = {32, true};
  static constexpr std::array<int64_t, 2> halves = {0, 2};

  static void decode(const std::byte *block, uint8_t *codes) {
    for (int j = 0; j < 16; ++j) {
      codes[j] = loadU8(block + 4 + j) & 15;
      codes[j + 16] = loadU8(block + 4 + j) >> 4;
    }
  }
  static void dequantize(const std::byte *block, double *out) {
    uint8_t codes[32];
    decode(block, codes);
    double d = loadF16(block), m = loadF16(block + 2);
    for (int k = 0; k < 32; ++k)
      out[k] = codes[k] * d + m;
  }
  static void encode(const float *x, std::byte *block) {
    const auto [least, most] = rangeOf(x);
    const float d = (most - least) / 15;
    uint8_t codes[32];
    codesAbove(x, least, inverseOf(d), 15, codes);
    storeF16(block, d);
    storeF16(block + 2, least);
    storeNibbles(codes, block + 4);
  }
  static void pack(const std::byte *const blocks[kGroupRows], std::byte *out) {
    Codes codes;
    for (int lane = 0; lane < 16; ++lane) {
      decode(blocks[lane], codes[lane]);
      store(out + 2 * lane, load<uint16_t>(blocks[lane]));
      store(out + 32 + 2 * lane, load<uint16_t>(blocks[lane] + 2));
    }
    packNibbles(codes, out + 64);
  }
  static void unpack(const std::byte *packed, int lane, int8_t *codes, float *scales, float *minima) {
    scales[0] = loadF16(packed + 2 * lane);
    minima[0] = loadF16(packed + 32 + 2 * lane);
    for (int k = 0; k < 32; ++k)
      codes[k] = static_cast<int8_t>(nibbleAt(packed + 64, lane, k));
  }
};
} // namespace

const Codec kQ4_1 = blockCodec<Q4_1>();
} // namespace heddle::quant
