//===- Q4_K.cpp - 8 × 32 × 4 bit, 6-bit scales and minima under two f16 -----------------------------------------===//
//
// File: d f16; dmin f16; scales[12], 6 bits each of sc and mn (runtime/quant/ScaleMin.h); qs[128], byte 32·i + j holds
//   element j of sub-block 2i in its low nibble and of sub-block 2i + 1 in its high one.
// Packed: d f16[16]; dmin f16[16]; then 8 × { sc u8[16]; mn u8[16]; nibbles[256] }.
// Product: c = 0..15; D = f32(d)·sc; M = −(f32(dmin)·mn).
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/Planes.h"
#include "runtime/quant/ScaleMin.h"

namespace heddle::quant {
namespace {
struct Q4_K {
  static constexpr FormatTraits traits = {Format::Q4_K, "q4_k", 12, 256, 144, 2368, true, kQ8Bound};
  static constexpr RowView view = {32, true};
  static constexpr std::array<int64_t, 2> halves = {0, 2};
  static constexpr int subBytes = 32 + kNibbleBytes;

  static void decode(const std::byte *block, int sub, uint8_t *codes) {
    for (int j = 0; j < 32; ++j) {
      int byte = loadU8(block + 16 + 32 * (sub / 2) + j);
      codes[j] = static_cast<uint8_t>(sub % 2 ? byte >> 4 : byte & 15);
    }
  }
  static void dequantize(const std::byte *block, double *out) {
    double d = loadF16(block), dmin = loadF16(block + 2);
    for (int sub = 0; sub < 8; ++sub) {
      uint8_t codes[32];
      decode(block, sub, codes);
      auto [scale, minimum] = scaleMinAt(block + 4, sub);
      for (int k = 0; k < 32; ++k)
        out[32 * sub + k] = codes[k] * (d * scale) - dmin * minimum;
    }
  }
  static void pack(const std::byte *const blocks[kGroupRows], std::byte *out) {
    for (int lane = 0; lane < 16; ++lane) {
      store(out + 2 * lane, load<uint16_t>(blocks[lane]));
      store(out + 32 + 2 * lane, load<uint16_t>(blocks[lane] + 2));
    }
    out += 64;
    for (int sub = 0; sub < 8; ++sub, out += subBytes) {
      Codes codes;
      for (int lane = 0; lane < 16; ++lane) {
        auto [scale, minimum] = scaleMinAt(blocks[lane] + 4, sub);
        store(out + lane, scale);
        store(out + 16 + lane, minimum);
        decode(blocks[lane], sub, codes[lane]);
      }
      packNibbles(codes, out + 32);
    }
  }
  static void unpack(const std::byte *packed, int lane, int8_t *codes, float *scales, float *minima) {
    float d = loadF16(packed + 2 * lane), dmin = loadF16(packed + 32 + 2 * lane);
    const std::byte *p = packed + 64;
    for (int sub = 0; sub < 8; ++sub, p += subBytes) {
      scales[sub] = d * loadU8(p + lane);            // exact: 11 + 6 bits
      minima[sub] = -(dmin * loadU8(p + 16 + lane)); // exact
      for (int k = 0; k < 32; ++k)
        codes[32 * sub + k] = static_cast<int8_t>(nibbleAt(p + 32, lane, k));
    }
  }
};
} // namespace

const Codec kQ4_K = blockCodec<Q4_K>();
} // namespace heddle::quant
