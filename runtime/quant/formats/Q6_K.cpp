//===- Q6_K.cpp - 16 × 16 × 6 bit, 8-bit scales under one f16 ---------------------------------------------------===//
//
// File: ql[128]; qh[64]; sc int8[16], one per 16 elements; d f16. The block is two halves of 128 elements, each with 64 bytes
//   of ql and 32 of qh. Element 32·s + j of a half (s = 0 … 3) has its low four bits in ql[32·(s%2) + j], the low nibble for
//   s < 2 and the high one else, and its top two in bits 2s, 2s+1 of qh[j].
// Packed: d f16[16]; then 8 × { sc int8[2][16], of the first and the last 16 elements; nibbles[256]; high2[128] }.
// Product: c = 0..63 − 32; D = f32(d)·sc.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/Planes.h"

namespace heddle::quant {
namespace {
struct Q6_K {
  static constexpr FormatTraits traits = {Format::Q6_K, "q6_k", 14, 256, 210, 3360, true, kQ8Bound};
  static constexpr RowView view = {16, false};
  static constexpr std::array<int64_t, 1> halves = {208};
  static constexpr int subBytes = 32 + kNibbleBytes + kHigh2Bytes;

  /// Codes of 32-block `sub` (0 … 7).
  static void decode(const std::byte *block, int sub, uint8_t *codes) {
    int half = sub / 4, s = sub % 4;
    const std::byte *low = block + 64 * half + 32 * (s % 2), *high = block + 128 + 32 * half;
    for (int j = 0; j < 32; ++j) {
      int byte = loadU8(low + j), top = loadU8(high + j) >> (2 * s) & 3;
      codes[j] = static_cast<uint8_t>((s < 2 ? byte & 15 : byte >> 4) | top << 4);
    }
  }
  static void dequantize(const std::byte *block, double *out) {
    double d = loadF16(block + 208);
    for (int sub = 0; sub < 8; ++sub) {
      uint8_t codes[32];
      decode(block, sub, codes);
      for (int k = 0; k < 32; ++k)
        out[32 * sub + k] = (codes[k] - 32) * (d * load<int8_t>(block + 192 + 2 * sub + k / 16));
    }
  }
  static void pack(const std::byte *const blocks[kGroupRows], std::byte *out) {
    for (int lane = 0; lane < 16; ++lane)
      store(out + 2 * lane, load<uint16_t>(blocks[lane] + 208));
    out += 32;
    for (int sub = 0; sub < 8; ++sub, out += subBytes) {
      Codes codes;
      for (int lane = 0; lane < 16; ++lane) {
        out[lane] = blocks[lane][192 + 2 * sub];
        out[16 + lane] = blocks[lane][192 + 2 * sub + 1];
        decode(blocks[lane], sub, codes[lane]);
      }
      packNibbles(codes, out + 32);
      packHigh2(codes, out + 32 + kNibbleBytes);
    }
  }
  static void unpack(const std::byte *packed, int lane, int8_t *codes, float *scales, float *) {
    float d = loadF16(packed + 2 * lane);
    const std::byte *p = packed + 32;
    for (int sub = 0; sub < 8; ++sub, p += subBytes) {
      const std::byte *nibbles = p + 32, *high2 = nibbles + kNibbleBytes;
      scales[2 * sub] = d * load<int8_t>(p + lane); // exact: 11 + 7 bits
      scales[2 * sub + 1] = d * load<int8_t>(p + 16 + lane);
      for (int k = 0; k < 32; ++k)
        codes[32 * sub + k] = static_cast<int8_t>((nibbleAt(nibbles, lane, k) | high2At(high2, lane, k)) - 32);
    }
  }
};
} // namespace

const Codec kQ6_K = blockCodec<Q6_K>();
} // namespace heddle::quant
