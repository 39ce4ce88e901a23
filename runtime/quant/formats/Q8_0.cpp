//===- Q8_0.cpp - 32 × 8 bit, one scale -------------------------------------------------------------------------===//
//
// File: d f16; qs int8[32].
// Packed: d f16[16]; codes int8[512], quads 0 … 7.
// Product: c = −128..127; D = f32(d).
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/Encoding.h"

namespace heddle::quant {
namespace {
struct Q8_0 {
  static constexpr FormatTraits traits = {Format::Q8_0, "q8_0", 8, 32, 34, 544, true, kQ8Bound};
  static constexpr RowView view = {32, false};
  static constexpr std::array<int64_t, 1> halves = {0};

  static void dequantize(const std::byte *block, double *out) {
    double d = loadF16(block);
    for (int k = 0; k < 32; ++k)
      out[k] = load<int8_t>(block + 2 + k) * d;
  }
  static void encode(const float *x, std::byte *block) {
    const float d = largestMagnitude(x) / 127, inverse = inverseOf(d);
    storeF16(block, d);
    for (int k = 0; k < 32; ++k)
      block[2 + k] = static_cast<std::byte>(lowByte(roundAway(x[k] * inverse)));
  }
  static void pack(const std::byte *const blocks[kGroupRows], std::byte *out) {
    for (int lane = 0; lane < 16; ++lane) {
      store(out + 2 * lane, load<uint16_t>(blocks[lane]));
      for (int quad = 0; quad < 8; ++quad)
        store(out + 32 + 64 * quad + 4 * lane, load<uint32_t>(blocks[lane] + 2 + 4 * quad));
    }
  }
  static void unpack(const std::byte *packed, int lane, int8_t *codes, float *scales, float *) {
    scales[0] = loadF16(packed + 2 * lane);
    for (int k = 0; k < 32; ++k)
      codes[k] = load<int8_t>(packed + 32 + 64 * (k / 4) + 4 * lane + k % 4);
  }
};
} // namespace

const Codec kQ8_0 = blockCodec<Q8_0>();
} // namespace heddle::quant
