//===- Q4_0.cpp - 32 × 4 bit, one scale -------------------------------------------------------------------------===//
//
// File: d f16; qs[16], element j in the low nibble of qs[j], element j + 16 in the high one.
// Packed: d f16[16]; nibbles[256].
// Product: c = 0..15 − 8; D = f32(d).
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/Encoding.h"
#include "runtime/quant/Planes.h"

namespace heddle::quant {
namespace {
struct Q4_0 {
  static constexpr FormatTraits traits = {Format::Q4_0, "q4_0", 2, 32, 18, 288, true, kQ8Bound};
  static constexpr RowView view = {32, false};
  static constexpr std::array<int64_t, 1> halves = {0};

  static void decode(const std::byte *block, uint8_t *codes) {
    for (int j = 0; j < 16; ++j) {
      codes[j] = loadU8(block + 2 + j) & 15;
      codes[j + 16] = loadU8(block + 2 + j) >> 4;
    }
  }
  static void dequantize(const std::byte *block, double *out) {
    uint8_t codes[32];
    decode(block, codes);
    double d = loadF16(block);
    for (int k = 0; k < 32; ++k)
      out[k] = (codes[k] - 8) * d;
  }
  static void encode(const float *x, std::byte *block) {
    const float d = largestElement(x) / -8; // the largest element gets the code 0, or 16 and is then held at 15
    uint8_t codes[32];
    codesOf(x, inverseOf(d), 8.5f, 15, codes);
    storeF16(block, d);
    storeNibbles(codes, block + 2);
  }
  static void pack(const std::byte *const blocks[kGroupRows], std::byte *out) {
    Codes codes;
    for (int lane = 0; lane < 16; ++lane) {
      decode(blocks[lane], codes[lane]);
      store(out + 2 * lane, load<uint16_t>(blocks[lane]));
    }
    packNibbles(codes, out + 32);
  }
  static void unpack(const std::byte *packed, int lane, int8_t *codes, float *scales, float *) {
    scales[0] = loadF16(packed + 2 * lane);
    for (int k = 0; k < 32; ++k)
      codes[k] = static_cast<int8_t>(nibbleAt(packed + 32, lane, k) - 8);
  }
};
} // namespace

const Codec kQ4_0 = blockCodec<Q4_0>();
} // namespace heddle::quant
