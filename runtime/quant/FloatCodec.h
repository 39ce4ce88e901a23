//===- FloatCodec.h - formats of one float an element ---------------------------------------------------------------===//
//
// Internal to runtime/quant. A block is one element; packed, the 16 elements of one k stand beside each other.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/quant/Codec.h"

namespace heddle::quant {

/// Loops for elements stored as `Bits`, widened by `Widen`, which `Narrow` rounds to.
template <class Bits, float (*Widen)(Bits), Bits (*Narrow)(float)> struct FloatLoops {
  static constexpr int64_t size = sizeof(Bits);

  static void dequantize(const std::byte *row, int64_t columns, double *out) {
    for (int64_t k = 0; k < columns; ++k)
      out[k] = Widen(load<Bits>(row + k * size));
  }
  static void encode(const float *x, int64_t columns, std::byte *out) {
    for (int64_t k = 0; k < columns; ++k)
      store(out + k * size, Narrow(x[k]));
  }
  static void pack(const std::byte *const rows[kGroupRows], int64_t columns, std::byte *out) {
    for (int64_t lane = 0; lane < kGroupRows; ++lane)
      for (int64_t k = 0; k < columns; ++k)
        store(out + (k * kGroupRows + lane) * size, rows[lane] ? load<Bits>(rows[lane] + k * size) : Bits(0));
  }
  static bool finite(const std::byte *row, int64_t columns) { return finiteBits<Bits>(row, columns, size, Narrow(INFINITY)); }
  static void widen(const std::byte *group, int lane, int64_t columns, float *out) {
    for (int64_t k = 0; k < columns; ++k)
      out[k] = Widen(load<Bits>(group + (k * kGroupRows + lane) * size));
  }
  static constexpr Codec codec(Format format, std::string_view name, uint32_t ggmlType) {
    return {{format, name, ggmlType, 1, size, kGroupRows * size, false, kFloatBound},
            {0, false},
            dequantize,
            pack,
            nullptr,
            widen,
            finite,
            encode};
  }
};

} // namespace heddle::quant
