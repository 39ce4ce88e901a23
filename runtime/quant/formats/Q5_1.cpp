//===- Q5_1.cpp - 32 × 5 bit, scale and minimum -----------------------------------------------------------------===//
//
// File: d f16; m f16; qh u32, bit k the fifth bit of element k; qs[16], element j in the low nibble of qs[j], element j + 16
//   in the high one.
// Packed: d f16[16]; m f16[16]; nibbles[256]; high[64].
// Product: c = 0..31; D = f32(d); M = f32(m).
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/Encoding.h"
#include "runtime/quant/Planes.h"

namespace heddle::quant {
namespace {
struct Q5_1 {
  static constexpr FormatTraits traits = {Format::Q5_1, "q5_1", 7, 32, 24, 384, true, kQ8Bound};
  static constexpr RowView view = {32, true};
  static constexpr std::array<int64_t, 2> halves = {0, 2};

  static void decode(const std::byte *block, uint8_t *codes) {
    uint32_t high = load<uint32_t>(block + 4);
    for (int j = 0; j < 16; ++j) {
      int byte = loadU8(block + 8 + j);
      codes[j] = static_cast<uint8_t>((byte & 15) | (high >> j & 1) << 4);
      codes[j + 16] = static_cast<uint8_t>(byte >> 4 | (high >> (j + 16) & 1) << 4);
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
    const float d = (most - least) / 31;
    uint8_t codes[32];
    codesAbove(x, least, inverseOf(d), 31, codes);
    storeF16(block, d);
    storeF16(block + 2, least);
    storeFifthBits(codes, block + 4);
    storeNibbles(codes, block + 8);
  }
  static void pack(const std::byte *const blocks[kGroupRows], std::byte *out) {
    Codes codes;
    for (int lane = 0; lane < 16; ++lane) {
      decode(blocks[lane], codes[lane]);
      store(out + 2 * lane, load<uint16_t>(blocks[lane]));
      store(out + 32 + 2 * lane, load<uint16_t>(blocks[lane] + 2));
    }
    packNibbles(codes, out + 64);
    packHigh(codes, out + 64 + kNibbleBytes);
  }
  static void unpack(const std::byte *packed, int lane, int8_t *codes, float *scales, float *minima) {
    const std::byte *nibbles = packed + 64, *high = nibbles + kNibbleBytes;
    scales[0] = loadF16(packed + 2 * lane);
    minima[0] = loadF16(packed + 32 + 2 * lane);
    for (int k = 0; k < 32; ++k)
      codes[k] = static_cast<int8_t>(nibbleAt(nibbles, lane, k) | highAt(high, lane, k));
  }
};
} // namespace

const Codec kQ5_1 = blockCodec<Q5_1>();
} // namespace heddle::quant
