//===- Encoding.h - what the quantisers of several formats share ----------------------------------------------------===//
//
// Internal to runtime/quant. Blocks have 32 elements. Everything is f32 arithmetic in the order of gguf/quants.py, where a number
// that does not fit a byte is cut to its low eight bits and what is no number, or beyond 2^31, becomes 0.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/quant/Codec.h"
#include <algorithm>
#include <cmath>

namespace heddle::quant {

/// The low eight bits of x cut to an integer; 0 for what no 32-bit integer holds.
inline uint8_t lowByte(float x) {
  int32_t whole = std::fabs(x) < 0x1p31f ? static_cast<int32_t>(x) : 0;
  return static_cast<uint8_t>(whole);
}

/// Rounded to the nearest integer, halves away from zero; a NaN for an infinity.
inline float roundAway(float x) {
  float size = std::fabs(x), whole = std::floor(size);
  return std::copysign(whole + std::floor(2 * (size - whole)), x);
}

/// 1 / d, and 0 for a scale of 0.
inline float inverseOf(float d) { return d == 0 ? 0 : 1 / d; }

/// The largest magnitude of a block; a NaN is larger than all.
inline float largestMagnitude(const float *x) {
  int32_t largest = 0; // magnitudes order like their bits
  for (int k = 0; k < 32; ++k)
    largest = std::max(largest, std::bit_cast<int32_t>(x[k]) & 0x7fffffff);
  return std::bit_cast<float>(largest);
}

/// The first element of a block that has the largest magnitude, with its sign.
inline float largestElement(const float *x) {
  const float largest = largestMagnitude(x);
  for (int k = 0; k < 32; ++k)
    if (std::fabs(x[k]) == largest)
      return x[k];
  return largest; // a NaN
}

struct Range {
  float least, most;
};
/// Of a block. Where both zeros are the least or the most, which of them stands for both shows in the sign of the f16 that is
/// stored; numpy's answer depends on the CPU's vectors, and this is the one of AVX-512: the last of elements 17 … 31, or else the
/// first of the others in the order below.
inline Range rangeOf(const float *x) {
  static constexpr uint8_t order[17] = {4, 0, 12, 8, 16, 2, 10, 6, 14, 3, 11, 7, 15, 1, 9, 5, 13};
  Range range{x[0], x[0]};
  bool number = true;
  for (int k = 0; k < 32; ++k) {
    range.least = x[k] < range.least ? x[k] : range.least;
    range.most = x[k] > range.most ? x[k] : range.most;
    number &= x[k] == x[k];
  }
  if (!number)
    return {NAN, NAN};
  if (range.least != 0 && range.most != 0)
    return range;
  float zero = 0;
  for (int i = 16; i >= 0; --i)
    zero = x[order[i]] == 0 ? x[order[i]] : zero;
  for (int k = 17; k < 32; ++k)
    zero = x[k] == 0 ? x[k] : zero;
  return {range.least == 0 ? zero : range.least, range.most == 0 ? zero : range.most};
}

/// codes[k] = min(x[k] · inverse + middle, top), cut to an integer.
inline void codesOf(const float *x, float inverse, float middle, uint8_t top, uint8_t *codes) {
  for (int k = 0; k < 32; ++k)
    codes[k] = std::min(lowByte(x[k] * inverse + middle), top);
}

/// codes[k] = min((x[k] − least) · inverse + 0.5, top), cut to an integer.
inline void codesAbove(const float *x, float least, float inverse, uint8_t top, uint8_t *codes) {
  for (int k = 0; k < 32; ++k)
    codes[k] = std::min(lowByte((x[k] - least) * inverse + 0.5f), top);
}

/// 16 bytes: element j in the low nibble of byte j, element j + 16 in the high one. Higher bits of the codes are left out.
inline void storeNibbles(const uint8_t *codes, std::byte *out) {
  for (int j = 0; j < 16; ++j)
    out[j] = static_cast<std::byte>((codes[j] & 15) | codes[j + 16] << 4);
}

/// A u32: bit k is the fifth bit of element k.
inline void storeFifthBits(const uint8_t *codes, std::byte *out) {
  uint32_t bits = 0;
  for (int k = 0; k < 32; ++k)
    bits |= static_cast<uint32_t>(codes[k] >> 4 & 1) << k;
  store(out, bits);
}

inline void storeF16(std::byte *out, float x) { store(out, narrowToF16(x)); }

} // namespace heddle::quant
