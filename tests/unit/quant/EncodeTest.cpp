// The quantisers against the bytes of the Python package gguf (Encodings.inc, written by make_encodings.py).
#include "runtime/quant/Encode.h"
#include "tests/unit/quant/RandomRows.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <stdexcept>

using namespace heddle;
using namespace heddle::test;

namespace {

struct Encoding {
  std::string name, x;                // 32 floats in hexadecimal
  std::map<Format, std::string> want; // file blocks in hexadecimal; of random blocks, their hash
  int64_t randomBlocks;               // 0: x it is
};
const std::vector<Encoding> kEncodings = {
#include "tests/unit/quant/Encodings.inc"
};

std::string hexOf(const std::vector<std::byte> &bytes) {
  std::string text;
  for (std::byte b : bytes)
    for (int digit : {std::to_integer<int>(b) >> 4, std::to_integer<int>(b) & 15})
      text += "0123456789abcdef"[digit];
  return text;
}

std::vector<float> floatsOf(const std::string &hex) {
  std::vector<float> floats(hex.size() / 8);
  for (size_t i = 0; i < hex.size() / 2; ++i)
    reinterpret_cast<unsigned char *>(floats.data())[i] =
        static_cast<unsigned char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  return floats;
}

/// make_encodings.py: random_blocks.
std::vector<float> randomBlocks(int64_t count) {
  uint64_t state = 15;
  auto next = [&] { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 32; };
  std::vector<float> x;
  for (int64_t b = 0; b < count; ++b) {
    const int64_t top = static_cast<int64_t>(next() % 255);
    for (int k = 0; k < 32; ++k) {
      const uint64_t word = next();
      const auto exponent = static_cast<uint32_t>(std::max<int64_t>(0, top - static_cast<int64_t>((word >> 23) % 8)));
      x.push_back(std::bit_cast<float>((static_cast<uint32_t>(word) & 0x807fffffu) | exponent << 23));
    }
  }
  return x;
}

std::vector<std::byte> encoded(Format format, const std::vector<float> &x) {
  const auto columns = static_cast<int64_t>(x.size());
  std::vector<std::byte> row(static_cast<size_t>(traits(format).rowBytes(columns)));
  encodeRow(format, x.data(), columns, row.data());
  return row;
}

std::string hashOf(const std::vector<std::byte> &bytes) { // FNV-1a
  uint64_t value = 14695981039346656037u;
  for (std::byte b : bytes)
    value = (value ^ std::to_integer<uint64_t>(b)) * 1099511628211u;
  std::vector<std::byte> digits;
  for (int shift = 56; shift >= 0; shift -= 8)
    digits.push_back(static_cast<std::byte>(value >> shift));
  return hexOf(digits);
}

TEST(Encode, GivesTheBytesOfThePythonPackage) {
  ASSERT_GT(kEncodings.size(), 30u);
  for (const Encoding &test : kEncodings) {
    const std::vector<float> x = test.randomBlocks ? randomBlocks(test.randomBlocks) : floatsOf(test.x);
    for (const auto &[format, want] : test.want) {
      const std::vector<std::byte> got = encoded(format, x);
      EXPECT_EQ(test.randomBlocks ? hashOf(got) : hexOf(got), want) << nameOf(format) << ", " << test.name;
    }
  }
}

/// A row is its blocks one after another, and a format that can be encoded is one that the package's bytes are known of.
TEST(Encode, RowsAreBlocksOneAfterAnother) {
  const std::vector<float> x = randomBlocks(7);
  for (Format format : kFormats) {
    EXPECT_EQ(canEncode(format), kEncodings.back().want.contains(format)) << nameOf(format);
    if (!canEncode(format))
      continue;
    std::vector<std::byte> blocks;
    for (size_t k = 0; k < x.size(); k += 32) {
      auto block = encoded(format, {x.begin() + static_cast<ptrdiff_t>(k), x.begin() + static_cast<ptrdiff_t>(k) + 32});
      blocks.insert(blocks.end(), block.begin(), block.end());
    }
    EXPECT_EQ(hexOf(encoded(format, x)), hexOf(blocks)) << nameOf(format);
  }
}

/// What was a row of this format comes out as it went in: its largest code makes the same scale again.
TEST(Encode, ValuesOfARowComeBack) {
  std::mt19937_64 random(41);
  for (Format format : {Format::F32, Format::F16, Format::BF16, Format::Q8_0, Format::MXFP4}) {
    std::vector<double> exact(64), again(64);
    std::vector<std::byte> row = randomRow(format, 64, random);
    for (int64_t block = 0; block < 64; block += 32) // a code of the largest magnitude in each block
      if (format == Format::Q8_0)
        row[static_cast<size_t>(block / 32 * 34 + 9)] = std::byte{127};
      else if (format == Format::MXFP4)
        row[static_cast<size_t>(block / 32 * 17 + 9)] = std::byte{0x77};
    dequantizeRow(format, row.data(), 64, exact.data());
    std::vector<float> x(exact.begin(), exact.end());
    dequantizeRow(format, encoded(format, x).data(), 64, again.data());
    for (size_t k = 0; k < 64; ++k)
      EXPECT_NEAR(again[k], exact[k], format == Format::Q8_0 ? 1e-3 * std::fabs(exact[k]) : 0) << nameOf(format) << " " << k;
  }
}

TEST(Encode, WhatIsNoNumberDoesNoHarm) {
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::signaling_NaN(),
                       std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
  for (Format format : kFormats)
    for (size_t at = 0; at < 64 && canEncode(format); ++at) {
      std::vector<float> x(64, 0.25f);
      x[at] = bad[at % 4];
      const std::vector<std::byte> row = encoded(format, x); // the other block is as it would be
      const std::vector<std::byte> sound = encoded(format, std::vector<float>(64, 0.25f));
      const size_t half = row.size() / 2, other = at < 32 ? half : 0;
      EXPECT_TRUE(std::equal(row.begin() + static_cast<ptrdiff_t>(other), row.begin() + static_cast<ptrdiff_t>(other + half),
                             sound.begin() + static_cast<ptrdiff_t>(other)))
          << nameOf(format) << " " << at;
    }
}

TEST(Encode, RefusesFormatsWithoutAQuantiserByName) {
  std::vector<float> x(256);
  std::vector<std::byte> row(1024);
  EXPECT_FALSE(canEncode(Format::Q4_K));
  try {
    encodeRow(Format::Q4_K, x.data(), 256, row.data());
    ADD_FAILURE() << "q4_k was encoded";
  } catch (const std::invalid_argument &error) {
    EXPECT_EQ(error.what(), "cannot quantise to q4_k: choose one of " + formatNames(canEncode));
    EXPECT_NE(std::string(error.what()).find(" q8_0"), std::string::npos);
  }
}

} // namespace
