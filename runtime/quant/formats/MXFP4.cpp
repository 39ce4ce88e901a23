//===- MXFP4.cpp - 32 × 4-bit floats, one power of two ----------------------------------------------------------===//
//
// File: e u8, the exponent of a power of two; qs[16], element j in the low nibble of qs[j], element j + 16 in the high one.
//   This is the microscaling format of OCP's MX specification as GGUF stores it: a nibble is a sign, two bits of exponent and
//   one of mantissa, which make 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives. The codes are twice these numbers, whole, and
//   the scale half the power. An exponent of 255, NaN by that specification, is a power of two like the others, as llama.cpp
//   and the package gguf have it.
// Packed: e u8[16]; nibbles[256].
// Product: c = 0, ±1, ±2, ±3, ±4, ±6, ±8, ±12; D = 2^(e − 128).
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/quant/Encoding.h"
#include "runtime/quant/Planes.h"

namespace heddle::quant {
namespace {
struct MXFP4 {
  static constexpr FormatTraits traits = {Format::MXFP4, "mxfp4", 39, 32, 17, 272, true, kQ8Bound};
  static constexpr RowView view = {32, false};
  static constexpr std::array<int64_t, 0> halves = {};
  static constexpr int8_t values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

  /// 2^(exponent − 128), which is denormal for 0 and 1.
  static float scaleOf(uint8_t exponent) {
    return std::bit_cast<float>(exponent < 2 ? 0x00200000u << exponent : (exponent - 1u) << 23);
  }
  static void decode(const std::byte *block, uint8_t *codes) {
    for (int j = 0; j < 16; ++j) {
      codes[j] = loadU8(block + 1 + j) & 15;
      codes[j + 16] = loadU8(block + 1 + j) >> 4;
    }
  }
  static void dequantize(const std::byte *block, double *out) {
    uint8_t codes[32];
    decode(block, codes);
    double d = scaleOf(loadU8(block));
    for (int k = 0; k < 32; ++k)
      out[k] = values[codes[k]] * d;
  }
  /// The largest magnitude gets the exponent of 4 or 6; each element the nearest number, the smaller one of two as near. Blocks
  /// whose largest magnitude is below 2^-125 wrap around to a large exponent, where every code is 0; the package does it too.
  static void encode(const float *x, std::byte *block) {
    const float largest = largestMagnitude(x);
    const auto log = static_cast<float>(std::log2(static_cast<double>(largest)));
    const uint8_t exponent = largest > 0 ? lowByte(std::floor(log) - 2 + 127) : 0;
    const float d = scaleOf(exponent);
    float least[32]; // the smallest error so far
    uint8_t codes[32] = {};
    for (int k = 0; k < 32; ++k)
      least[k] = std::fabs(x[k]);
    for (uint8_t code = 1; code < 8; ++code)
      for (int k = 0; k < 32; ++k) {
        float error = std::fabs(d * values[code] - std::fabs(x[k]));
        codes[k] = error < least[k] ? code : codes[k];
        least[k] = error < least[k] ? error : least[k];
      }
    for (int k = 0; k < 32; ++k)
      codes[k] |= codes[k] && x[k] < 0 ? 8 : 0;
    block[0] = static_cast<std::byte>(exponent);
    storeNibbles(codes, block + 1);
  }
  static void pack(const std::byte *const blocks[kGroupRows], std::byte *out) {
    Codes codes;
    for (int lane = 0; lane < 16; ++lane) {
      decode(blocks[lane], codes[lane]);
      out[lane] = blocks[lane][0];
    }
    packNibbles(codes, out + 16);
  }
  static void unpack(const std::byte *packed, int lane, int8_t *codes, float *scales, float *) {
    scales[0] = scaleOf(loadU8(packed + lane));
    for (int k = 0; k < 32; ++k)
      codes[k] = values[nibbleAt(packed + 16, lane, k)];
  }
};
} // namespace

const Codec kMXFP4 = blockCodec<MXFP4>();
} // namespace heddle::quant
