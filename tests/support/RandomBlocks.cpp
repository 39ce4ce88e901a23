//===- RandomBlocks.cpp - fields of each format's blocks, filled at random ------------------------------------------===//
#include "tests/support/RandomBlocks.h"
#include <bit>
#include <cmath>
#include <cstring>

namespace heddle::test {
namespace {

/// Where a block keeps its f16 fields, and what one code step times its scale is worth.
struct Fields {
  int scale = -1, minimum = -1; // byte of the f16, -1: none
  double codeDeviation = 1;     // standard deviation of uniform codes
  double middle = 0;            // the codes' mean, which the minimum takes away
  double subScale = 1;          // mean of the integer sub-block scales of K-quants
};

Fields fieldsOf(Format format) {
  switch (format) {
  case Format::Q4_0:
    return {0, -1, 4.6};
  case Format::Q4_1:
    return {0, 2, 4.6, 7.5};
  case Format::Q5_0:
    return {0, -1, 9.2};
  case Format::Q5_1:
    return {0, 2, 9.2, 15.5};
  case Format::Q8_0:
    return {0, -1, 73.9};
  case Format::Q4_K:
    return {0, 2, 4.6, 7.5, 40};
  case Format::Q5_K:
    return {0, 2, 9.2, 15.5, 40};
  case Format::MXFP4:
    return {-1, -1, 5.85};
  case Format::Q6_K:
    return {208, -1, 18.5, 0, 74};
  default:
    return {};
  }
}

void put16(std::byte *at, uint16_t bits) { std::memcpy(at, &bits, sizeof bits); }
uint16_t half(double x) { return std::bit_cast<uint16_t>(static_cast<_Float16>(static_cast<float>(x))); }

/// The 12 bytes that hold eight 6-bit scales and eight 6-bit minima of Q4_K and Q5_K. With minimum = scale in every sub-block and
/// dmin = middle · d, every sub-block has mean 0.
void putSubScales(std::byte *at, std::mt19937_64 &random) {
  uint8_t bytes[12] = {}, values[8];
  for (auto &v : values)
    v = static_cast<uint8_t>(17 + random() % 47); // 17 … 63
  for (int j = 0; j < 4; ++j) {
    bytes[j] = static_cast<uint8_t>(values[j] | (values[j + 4] >> 4) << 6);
    bytes[j + 4] = bytes[j];
    bytes[j + 8] = static_cast<uint8_t>((values[j + 4] & 15) | (values[j + 4] & 15) << 4);
  }
  std::memcpy(at, bytes, sizeof bytes);
}

/// Sixteen int8 scales of Q6_K, of both signs.
void putSignedScales(std::byte *at, std::mt19937_64 &random) {
  for (int j = 0; j < 16; ++j) {
    auto size = static_cast<int>(20 + random() % 108);
    at[j] = static_cast<std::byte>(static_cast<int8_t>(random() & 1 ? size : -size));
  }
}

void putFloat(Format format, std::byte *row, int64_t k, float x) {
  if (format == Format::F32)
    std::memcpy(row + 4 * k, &x, sizeof x);
  if (format == Format::F16)
    put16(row + 2 * k, half(static_cast<double>(x)));
  if (format == Format::BF16)
    put16(row + 2 * k, static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16));
}

} // namespace

std::vector<std::byte> randomRow(Format format, int64_t columns, std::mt19937_64 &random) {
  const FormatTraits &t = traits(format);
  std::vector<std::byte> row(static_cast<size_t>(t.rowBytes(columns)));
  double deviation = 1 / std::sqrt(static_cast<double>(columns));
  if (!t.quantized) {
    std::normal_distribution<double> normal(0, deviation);
    for (int64_t k = 0; k < columns; ++k)
      putFloat(format, row.data(), k, static_cast<float>(normal(random)));
    return row;
  }
  Fields fields = fieldsOf(format);
  for (auto &b : row)
    b = static_cast<std::byte>(random()); // the codes; the other fields are overwritten
  for (int64_t b = 0; b < columns / t.blockElements; ++b) {
    std::byte *block = row.data() + b * t.blockBytes;
    double spread = 0.5 + static_cast<double>(random() % 1024) / 1024; // 0.5 … 1.5
    double d = deviation * spread / (fields.codeDeviation * fields.subScale);
    bool superBlock = format == Format::Q4_K || format == Format::Q5_K;
    if (format == Format::MXFP4) // the scale is 2^(e − 128)
      block[0] = static_cast<std::byte>(std::lround(std::log2(d)) + 128);
    else
      put16(block + fields.scale, half(d));
    if (fields.minimum >= 0)
      put16(block + fields.minimum, half(superBlock ? d * fields.middle : -d * fields.middle));
    if (superBlock)
      putSubScales(block + 4, random);
    if (format == Format::Q6_K)
      putSignedScales(block + 192, random);
  }
  return row;
}

} // namespace heddle::test
