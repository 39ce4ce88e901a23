//===- Q5_0.cpp - 32 × 5 bit, one scale -------------------------------------------------------------------------===//
//
// File: d f16; qh u32, bit k the fifth bit of element k; qs[16], element j in the low nibble of qs[j], element j + 16 in the
//   high one.
// Packed: d f16[16]; nibbles[256]; high[64].
// Product: c = 0..31 − 16; D = f32(d).
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/Encoding.h"
#include "runtime/quant/Planes.h"

namespace heddle::quant {
namespace {
struct Q5_0 {
  static constexpr FormatTraits traits = {Format::Q5_0, "q5_0", 6, 32, 22, 352, true, kQ8Bound};
  static constexpr RowView view = {32, false};
  static constexpr std::array<int64_t, 1> halves = {0};

  static void decode(const std::byte *block, uint8_t *codes) {
    uint32_t high = load<uint32_t>(block + 2);
    for (int j = 0; j < 16; ++j) {
      int byte = loadU8(block + 6 + j);
      codes[j] = static_cast<uint8_t>((byte & 15) | (high >> j & 1) << 4);
      codes[j + 16] = static_cast<uint8_t>(byte >> 4 | (high >> (j + 16) & 1) << 4);
    }
  }
  static void dequantize(const std::byte *block, double *out) {
    uint8_t codes[32];
    decode(block, codes);
    double d = loadF16(block);
    for (int k = 0; k < 32; ++k)
      out[k] = (codes[k] - 16) * d;
  }
  static void encode(const float *x, std::byte *block) {
    const float d = largestElement(x) / -16; // the largest element gets the code 0, or 32 and is then held at 31
    uint8_t codes[32];
    codesOf(x, inverseOf(d), 16.5f, 31, codes);
    storeF16(block, d);
    storeFifthBits(codes, block + 2);
    storeNibbles(codes, block + 6);
  }
  static void pack(const std::byte *const blocks[kGroupRows], std::byte *out) {
    Codes codes;
    for (int lane = 0; lane < 16; ++lane) {
      decode(blocks[lane], codes[lane]);
      store(out + 2 * lane, load<uint16_t>(blocks[lane]));
    }
    packNibbles(codes, out + 32);
    packHigh(codes, out + 32 + kNibbleBytes);
  }
  static void unpack(const std::byte *packed, int lane, int8_t *codes, float *scales, float *) {
    const std::byte *nibbles = packed + 32, *high = nibbles + kNibbleBytes;
    scales[0] = loadF16(packed + 2 * lane);
    for (int k = 0; k < 32; ++k)
      codes[k] = static_cast<int8_t>((nibbleAt(nibbles, lane, k) | highAt(high, lane, k)) - 16);
  }
};
} // namespace

const Codec kQ5_0 = blockCodec<Q5_0>();
} // namespace heddle::quant
