//===- Planes.h - the bit planes of a packed 32-block of 16 rows ----------------------------------------------------===//
//
// Internal to runtime/quant. README.md draws these: byte (lane, k) of a 64-byte quad is lane*4 + k%4; the low four bits of all
// codes come as nibbles[256], a fifth bit as high[64], two top bits as high2[128].
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/quant/Codec.h"

namespace heddle::quant {

inline constexpr int kNibbleBytes = 256, kHighBytes = 64, kHigh2Bytes = 128;

/// Unsigned codes of 16 rows × 32 elements.
using Codes = uint8_t[kGroupRows][32];

inline void packNibbles(const Codes &codes, std::byte *out) {
  for (int vector = 0; vector < 4; ++vector)
    for (int lane = 0; lane < 16; ++lane)
      for (int b = 0; b < 4; ++b) {
        int low = codes[lane][8 * vector + b] & 15, high = codes[lane][8 * vector + 4 + b] & 15;
        out[64 * vector + 4 * lane + b] = static_cast<std::byte>(low | high << 4);
      }
}

inline void packHigh(const Codes &codes, std::byte *out) {
  for (int lane = 0; lane < 16; ++lane)
    for (int b = 0; b < 4; ++b) {
      int bits = 0;
      for (int quad = 0; quad < 8; ++quad)
        bits |= (codes[lane][4 * quad + b] >> 4 & 1) << quad;
      out[4 * lane + b] = static_cast<std::byte>(bits);
    }
}

inline void packHigh2(const Codes &codes, std::byte *out) {
  for (int half = 0; half < 2; ++half)
    for (int lane = 0; lane < 16; ++lane)
      for (int b = 0; b < 4; ++b) {
        int bits = 0;
        for (int quad = 0; quad < 4; ++quad)
          bits |= (codes[lane][16 * half + 4 * quad + b] >> 4 & 3) << (2 * quad);
        out[64 * half + 4 * lane + b] = static_cast<std::byte>(bits);
      }
}

/// Code (lane, k) of a 32-block from its planes; `high`/`high2` may be absent. Subtract the format's offset to get c.
inline int nibbleAt(const std::byte *nibbles, int lane, int k) {
  int byte = loadU8(nibbles + 64 * (k / 8) + 4 * lane + k % 4);
  return k / 4 % 2 ? byte >> 4 : byte & 15;
}
inline int highAt(const std::byte *high, int lane, int k) { return (loadU8(high + 4 * lane + k % 4) >> (k / 4) & 1) << 4; }
inline int high2At(const std::byte *high2, int lane, int k) {
  return (loadU8(high2 + 64 * (k / 16) + 4 * lane + k % 4) >> (2 * (k / 4 % 4)) & 3) << 4;
}

} // namespace heddle::quant
