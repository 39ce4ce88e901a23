//===- Codec.h - what one format file gives to the table in Format.cpp ----------------------------------------------===//
//
// Internal to runtime/quant. A quantised format writes three functions over one block; `blockCodec` makes the loops over a
// row of blocks, so that a format file holds nothing but its layout.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/quant/Format.h"
#include "runtime/quant/Half.h"
#include <array>
#include <cmath>
#include <cstring>

namespace heddle::quant {

struct Codec {
  FormatTraits traits;
  RowView view; // subBlock 0 for F32, F16, BF16
  void (*dequantize)(const std::byte *row, int64_t columns, double *out);
  void (*pack)(const std::byte *const rows[kGroupRows], int64_t columns, std::byte *out);
  void (*unpack)(const std::byte *group, int lane, int64_t columns, int8_t *codes, float *scales, float *minima); // quantised
  void (*widen)(const std::byte *group, int lane, int64_t columns, float *out);                                   // floats
  bool (*finite)(const std::byte *row, int64_t columns);
  void (*encode)(const float *x, int64_t columns, std::byte *out); // null: no quantiser (Encode.h)
};

#define HEDDLE_FORMAT(name) extern const Codec k##name;
#include "runtime/quant/Formats.inc"

// Rounding an activation block moves it by at most half a step in each of 31 elements (the largest one is exact), and a step is
// amax / 127: |error| <= √31/254 · amax <= 0.02193 · ‖x_block‖, and Cauchy-Schwarz carries that to the whole dot. The rest is
// room for the f32 accumulation: (columns / 32 + 4) · 2^-24 times the cancellation between codes and minimum, which stays small
// for rows that a quantiser made.
inline constexpr double kQ8Bound = 0.0225;
// n roundings of 2^-24 each, to n = 16,384 columns.
inline constexpr double kFloatBound = 1.0e-3;

template <class T> T load(const std::byte *p) {
  T value;
  std::memcpy(&value, p, sizeof value); // file blocks have no alignment
  return value;
}
template <class T> void store(std::byte *p, T value) { std::memcpy(p, &value, sizeof value); }
inline float loadF16(const std::byte *p) { return widenF16(load<uint16_t>(p)); }
/// Whether none of the values has an exponent of ones, as `infinity` has: it is an infinity or NaN then.
template <class Bits> bool finiteBits(const std::byte *p, int64_t values, int64_t step, Bits infinity) {
  Bits bad = 0;
  for (int64_t i = 0; i < values; ++i)
    bad |= static_cast<Bits>((load<Bits>(p + i * step) & infinity) == infinity);
  return bad == 0;
}
inline uint8_t loadU8(const std::byte *p) { return std::to_integer<uint8_t>(*p); }

/// `Block` has: traits, view, halves (where a file block keeps its f16 fields), dequantize(block, out), pack(blocks, out),
/// unpack(packed, lane, codes, scales, minima) and, where there is a quantiser, encode(x, block).
template <class Block> struct BlockLoops {
  static constexpr int64_t elements = Block::traits.blockElements;
  static constexpr std::byte zeros[Block::traits.blockBytes] = {};

  static void dequantize(const std::byte *row, int64_t columns, double *out) {
    for (int64_t k = 0; k < columns; k += elements, row += Block::traits.blockBytes)
      Block::dequantize(row, out + k);
  }
  static void encode(const float *x, int64_t columns, std::byte *out) {
    for (int64_t k = 0; k < columns; k += elements, out += Block::traits.blockBytes)
      Block::encode(x + k, out);
  }
  static bool finite(const std::byte *row, int64_t columns) {
    bool good = true;
    for (int64_t at : Block::halves)
      good &= finiteBits<uint16_t>(row + at, columns / elements, Block::traits.blockBytes, narrowToF16(INFINITY));
    return good;
  }
  static void pack(const std::byte *const rows[kGroupRows], int64_t columns, std::byte *out) {
    const std::byte *blocks[kGroupRows];
    for (int64_t b = 0; b < columns / elements; ++b, out += Block::traits.packedBytes) {
      for (int64_t lane = 0; lane < kGroupRows; ++lane)
        blocks[lane] =
            rows[lane] ? rows[lane] + b * Block::traits.blockBytes : zeros; // all-zero bytes mean a zero row everywhere
      Block::pack(blocks, out);
    }
  }
  static void unpack(const std::byte *group, int lane, int64_t columns, int8_t *codes, float *scales, float *minima) {
    constexpr int64_t subs = elements / Block::view.subBlock;
    for (int64_t b = 0; b < columns / elements; ++b, group += Block::traits.packedBytes)
      Block::unpack(group, lane, codes + b * elements, scales + b * subs, Block::view.hasMinimum ? minima + b * subs : nullptr);
  }
};

template <class Block> constexpr Codec blockCodec() {
  using Loops = BlockLoops<Block>;
  Codec codec{Block::traits, Block::view, Loops::dequantize, Loops::pack, Loops::unpack, nullptr, Loops::finite, nullptr};
  if constexpr (requires { &Block::encode; })
    codec.encode = Loops::encode;
  return codec;
}

} // namespace heddle::quant
