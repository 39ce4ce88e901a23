//===- Q5_K.cpp - 8 × 32 × 5 bit, 6-bit scales and minima under two f16 -----------------------------------------===//
//
// File: d f16; dmin f16; scales[12], 6 bits each of sc and mn (runtime/quant/ScaleMin.h); qh[32], bit s of byte j the fifth
//   bit of element j of sub-block s; qs[128], byte 32·i + j holds element j of sub-block 2i in its low nibble and of
//   sub-block 2i + 1 in its high one.
// Packed: d f16[16]; dmin f16[16]; then 8 × { sc u8[16]; mn u8[16]; nibbles[256]; high[64] }.
// Product: c = 0..31; D = f32(d)·sc; M = −(f32(dmin)·mn).
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/Planes.h"
#include "runtime/quant/ScaleMin.h"

namespace heddle::quant {
namespace {
struct Q5_K {
  static constexpr FormatTraits traits = {Format::Q5_K, "q5_k", 13, 256, 176, 2880, true, kQ8Bound};
  static constexpr RowView view = {32, true};
  static constexpr std::array<int64_t, 2> halves = {0, 2};
  static constexpr int subBytes = 32 + kNibbleBytes + kHighBytes;

  static void decode(const std::byte *block, int sub, uint8_t *codes) {
    for (int j = 0; j < 32; ++j) {
      int byte = loadU8(block + 48 + 32 * (sub / 2) + j), high = loadU8(block + 16 + j) >> sub & 1;
      codes[j] = static_cast<uint8_t>((sub % 2 ? byte >> 4 : byte & 15) | high << 4);
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
      packHigh(codes, out + 32 + kNibbleBytes);
    }
  }
  static void unpack(const std::byte *packed, int lane, int8_t *codes, float *scales, float *minima) {
    float d = loadF16(packed + 2 * lane), dmin = loadF16(packed + 32 + 2 * lane);
    const std::byte *p = packed + 64;
    for (int sub = 0; sub < 8; ++sub, p += subBytes) {
      const std::byte *nibbles = p + 32, *high = nibbles + kNibbleBytes;
      scales[sub] = d * loadU8(p + lane);            // exact: 11 + 6 bits
      minima[sub] = -(dmin * loadU8(p + 16 + lane)); // exact
      for (int k = 0; k < 32; ++k)
        codes[32 * sub + k] = static_cast<int8_t>(nibbleAt(nibbles, lane, k) | highAt(high, lane, k));
    }
  }
};
} // namespace

const Codec kQ5_K = blockCodec<Q5_K>();
} // namespace heddle::quant
