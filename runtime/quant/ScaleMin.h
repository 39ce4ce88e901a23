//===- ScaleMin.h - the 6-bit scales and minima of Q4_K and Q5_K ----------------------------------------------------===//
#pragma once
#include "runtime/quant/Codec.h"

namespace heddle::quant {

/// Scale and minimum of sub-block s (0 … 7) out of the 12 bytes that hold eight 6-bit pairs: the first four pairs lie in the low
/// six bits of bytes 0–3 and 4–7; the last four have their low nibbles in bytes 8–11 and their top bits above the first four.
struct ScaleMin {
  uint8_t scale, minimum;
};
inline ScaleMin scaleMinAt(const std::byte *bytes, int s) {
  if (s < 4)
    return {static_cast<uint8_t>(loadU8(bytes + s) & 63), static_cast<uint8_t>(loadU8(bytes + s + 4) & 63)};
  int low = loadU8(bytes + s + 4);
  return {static_cast<uint8_t>((low & 15) | loadU8(bytes + s - 4) >> 6 << 4),
          static_cast<uint8_t>(low >> 4 | loadU8(bytes + s) >> 6 << 4)};
}

} // namespace heddle::quant
