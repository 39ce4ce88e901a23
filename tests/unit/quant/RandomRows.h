//===- RandomRows.h - file rows of every format for the tests --------------------------------------------------------===//
#pragma once
#include "runtime/quant/Format.h"
#include "runtime/quant/Half.h"
#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace heddle::test {

/// Where a block of the file has its f16 fields.
inline std::vector<int> halfOffsets(Format format) {
  switch (format) {
  case Format::Q4_1:
  case Format::Q5_1:
  case Format::Q4_K:
  case Format::Q5_K:
    return {0, 2};
  case Format::Q6_K:
    return {208};
  case Format::F32:
  case Format::F16:
  case Format::BF16:
  case Format::MXFP4:
    return {};
  default:
    return {0};
  }
}

/// Random bytes, any bit pattern (scales may be NaN or infinite).
inline std::vector<std::byte> randomBytes(size_t n, std::mt19937_64 &random) {
  std::vector<std::byte> bytes(n);
  for (auto &b : bytes)
    b = static_cast<std::byte>(random());
  return bytes;
}

/// Rows such as a model has: random codes, small finite scales; a minimum of the opposite sign about half the codes' range.
inline std::vector<std::byte> randomRow(Format format, int64_t columns, std::mt19937_64 &random) {
  const FormatTraits &t = traits(format);
  auto bytes = randomBytes(t.rowBytes(columns), random);
  std::normal_distribution<float> normal;
  auto put = [&](size_t at, auto value) { std::memcpy(bytes.data() + at, &value, sizeof value); };
  for (int64_t k = 0; k < columns; ++k) {
    float x = normal(random);
    if (format == Format::F32)
      put(4 * k, x);
    if (format == Format::F16)
      put(2 * k, narrowToF16(x));
    if (format == Format::BF16)
      put(2 * k, static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16));
  }
  for (int64_t b = 0; b < columns / t.blockElements; ++b) {
    float scale = 0.01f + 0.02f * std::abs(normal(random));
    bool blockMinimum = format == Format::Q4_1 || format == Format::Q5_1;
    float middle = format == Format::Q4_1 ? -7.5f : format == Format::Q5_1 ? -15.5f : format == Format::Q4_K ? 7.5f : 15.5f;
    bool first = true;
    for (int at : halfOffsets(format)) {
      put(b * t.blockBytes + at, narrowToF16(first ? scale : scale * middle * (blockMinimum ? 1.0f : 0.9f)));
      first = false;
    }
    if (format == Format::MXFP4)
      put(b * t.blockBytes, static_cast<uint8_t>(119 + random() % 5));
  }
  return bytes;
}

/// Sixteen rows packed into one group.
inline std::vector<std::byte> packRows(Format format, const std::vector<std::vector<std::byte>> &rows, int64_t columns) {
  const std::byte *pointers[kGroupRows] = {};
  for (size_t i = 0; i < rows.size(); ++i)
    pointers[i] = rows[i].data();
  std::vector<std::byte> group(traits(format).groupBytes(columns), std::byte{0xcc});
  packRowGroup(format, pointers, columns, group.data());
  return group;
}

inline std::string nameOf(Format format) { return std::string(traits(format).name); }

} // namespace heddle::test
