//===- Half.h - 16-bit floats: exact widening, narrowing rounded to nearest even ------------------------------------===//
#pragma once
#include <bit>
#include <cstdint>

namespace heddle {

/// f16 bits as f32, exact (a NaN stays a NaN).
inline float widenF16(uint16_t bits) { return static_cast<float>(std::bit_cast<_Float16>(bits)); }

/// f32 rounded to nearest even as f16 bits; beyond 65,519.99 it becomes infinity. What the KV cache stores.
inline uint16_t narrowToF16(float x) { return std::bit_cast<uint16_t>(static_cast<_Float16>(x)); }

/// bf16 bits as f32, exact.
inline float widenBF16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

/// f32 rounded to nearest even as bf16 bits, where the largest numbers become infinity; a NaN stays one and is made quiet.
inline uint16_t narrowToBF16(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

} // namespace heddle
