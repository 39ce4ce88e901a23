// Hostile files: each must give one GgufError of one line, or parse; never crash, hang or allocate without bound.
#include "compiler/checkpoints/gguf/GgufFile.h"
#include "tests/unit/gguf/GgufBuilder.h"
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <random>

using namespace heddle;
using namespace heddle::test;

namespace {

/// The error's text, or "" when the file parses. Reads everything that parsed, so that ASan sees a view that leaves the file. The
/// bytes are copied to a buffer of their exact size for the same reason.
std::string parseAll(std::span<const std::byte> bytes) {
  auto exact = std::make_unique<std::byte[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), exact.get());
  try {
    GgufFile file = GgufFile::parse({exact.get(), bytes.size()}, "m.gguf");
    uint64_t sum = 0;
    for (std::string_view key : file.keys()) {
      const GgufValue &v = *file.findValue(key);
      for (std::byte b : v.bytes)
        sum += static_cast<uint64_t>(b);
      if (v.type == GgufType::Array && v.element == GgufType::String)
        for (std::string_view s : file.strings(key))
          sum += s.size();
    }
    for (const GgufTensor &t : file.tensors()) {
      EXPECT_EQ(file.findTensor(t.name), &t);
      EXPECT_EQ(static_cast<int64_t>(t.data.size()), t.rows() * traits(t.format).rowBytes(t.columns()));
      for (std::byte b : t.data)
        sum += static_cast<uint64_t>(b);
    }
    volatile uint64_t keep = sum;
    (void)keep;
    return "";
  } catch (const GgufError &e) {
    std::string text = e.what();
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_EQ(text.rfind("m.gguf: ", 0), 0u) << text;
    EXPECT_LT(text.size(), 400u) << text;
    return text;
  }
}

void expectError(const GgufBuilder &file, std::string_view part) {
  std::string text = parseAll(file.bytes());
  EXPECT_NE(text.find(part), std::string::npos) << "wanted: " << part << "\ngot: " << text;
}

TEST(GgufDamage, CutOffAtEveryLength) {
  auto bytes = completeFile();
  ASSERT_EQ(parseAll(bytes), "");
  for (size_t n = 0; n < bytes.size(); ++n) {
    std::string text = parseAll(std::span(bytes).first(n));
    EXPECT_NE(text.find("cut off"), std::string::npos) << n << ": " << text;
  }
  EXPECT_EQ(parseAll(std::span(bytes).first(30)),
            "m.gguf: claims 18 metadata keys where only 6 bytes follow: it is cut off or damaged, "
            "download it again");
  EXPECT_EQ(parseAll(std::span(bytes).first(300)), "m.gguf: cut off in the metadata at byte 300: download it again");
}

TEST(GgufDamage, EveryByteAndEveryBitFlipped) {
  const auto sound = completeFile();
  int refused = 0;
  for (size_t i = 0; i < sound.size(); ++i)
    for (int mask : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff}) {
      auto bytes = sound;
      bytes[i] ^= static_cast<std::byte>(mask);
      refused += !parseAll(bytes).empty();
    }
  EXPECT_GT(refused, 1000); // the header is most of this file
}

TEST(GgufDamage, RandomEdits) {
  const auto sound = completeFile();
  std::mt19937_64 random(5);
  for (int round = 0; round < 20000; ++round) {
    auto bytes = sound;
    for (int edit = 0; edit < 3; ++edit) {
      size_t at = random() % bytes.size();
      if (random() % 3 == 0 && at + 8 <= bytes.size()) {
        const uint64_t values[] = {0, 1, UINT64_MAX, 1ull << 63, 1ull << 32, random()};
        std::memcpy(&bytes[at], &values[random() % 6], 8);
      } else {
        bytes[at] = static_cast<std::byte>(random());
      }
    }
    parseAll(bytes);
  }
}

TEST(GgufDamage, Header) {
  expectError(GgufBuilder(0, 0, 1), "GGUF version 1 cannot be read");
  expectError(GgufBuilder(0, 0, 4), "GGUF version 4 cannot be read");
  expectError(GgufBuilder(0, 0, 3u << 24), "big-endian");
  std::vector<std::byte> zip(64, std::byte{'P'});
  EXPECT_NE(parseAll(zip).find("is not a GGUF file"), std::string::npos);
  EXPECT_EQ(parseAll(GgufBuilder(0, 0).bytes()), "");
}

TEST(GgufDamage, AbsurdCounts) {
  expectError(GgufBuilder(UINT64_MAX, 0), "claims");
  expectError(GgufBuilder(0, UINT64_MAX), "claims");
  expectError(GgufBuilder(0, 1ull << 40).data(4096), "claims");
  expectError(GgufBuilder(3, 0).data(64), "claims 3 tensors where only");
  expectError(GgufBuilder(0, 1).text("k").put<uint32_t>(8).put<uint64_t>(UINT64_MAX).data(64), "cut off in the metadata");
  expectError(GgufBuilder(0, 1).arrayKey("k", 4, UINT64_MAX).data(64), "elements in 'k'");
  expectError(GgufBuilder(0, 1).arrayKey("k", 4, 1ull << 62).data(64), "elements in 'k'"); // · 4 would wrap to 0
  expectError(GgufBuilder(0, 1).arrayKey("k", 8, 1ull << 61).data(64), "elements in 'k'");
  expectError(GgufBuilder(0, 1).text("").put<uint32_t>(0).data(64), "0 bytes");
}

TEST(GgufDamage, Metadata) {
  expectError(GgufBuilder(0, 1).arrayKey("k", 9, 1).data(64), "array of arrays");
  expectError(GgufBuilder(0, 1).key<uint32_t>("k", 13, 1), "unknown type 13");
  expectError(GgufBuilder(0, 1).key<uint8_t>("k", 7, 2), "neither 0 nor 1");
  expectError(GgufBuilder(0, 2).key<uint8_t>("k", 0, 2).key<uint8_t>("k", 0, 2), "key 'k' appears twice");
  expectError(GgufBuilder(0, 1).key<uint32_t>("general.alignment", 4, 0), "not a power of two");
  expectError(GgufBuilder(0, 1).key<uint32_t>("general.alignment", 4, 48), "not a power of two");
  expectError(GgufBuilder(0, 1).key<uint32_t>("general.alignment", 4, 1u << 31), "not a power of two");
  expectError(GgufBuilder(0, 1).key<int32_t>("general.alignment", 5, -32), "not a power of two");
  expectError(GgufBuilder(0, 1).stringKey("general.alignment", "32"), "not an integer");
  expectError(GgufBuilder(0, 1).key<uint32_t>("line\nbreak\x01", 99, 1), "'line\\x0abreak\\x01'");
}

TEST(GgufDamage, Tensors) {
  auto one = [](std::initializer_list<uint64_t> dims, uint32_t type, uint64_t offset) {
    return GgufBuilder(1, 0).tensor("t", dims, type, offset).data(64);
  };
  EXPECT_EQ(parseAll(one({16}, 0, 0).bytes()), "");
  expectError(one({16}, 10, 0), "tensor 't' has type Q2_K, which is not supported: use a file with " + formatNames());
  expectError(one({16}, 20, 0), "IQ4_NL");
  expectError(one({16}, 4, 0), "type 4 (unknown)");
  expectError(one({}, 0, 0), "has 0 dimensions");
  expectError(one({1, 1, 1, 1, 1}, 0, 0), "has 5 dimensions");
  expectError(one({0}, 0, 0), "impossible shape (dimension 0 is 0)");
  expectError(one({1ull << 32, 1ull << 32}, 0, 0), "impossible shape");
  expectError(one({UINT64_MAX}, 0, 0), "impossible shape");
  expectError(one({1ull << 62}, 0, 0), "larger than the file"); // · 4 bytes would wrap to 0
  expectError(one({48}, 2, 0), "no multiple of q4_0's block of 32");
  expectError(one({16}, 0, 16), "no multiple of the alignment 32");
  expectError(one({16}, 0, 32), "cut off in the data of tensor 't'");
  expectError(one({16}, 0, UINT64_MAX - 31), "cut off in the data of tensor 't'");
  expectError(GgufBuilder(2, 0).tensor("a", {16}, 0, 0).tensor("b", {8}, 0, 32).data(96), "tensors 'a' and 'b' overlap");
  expectError(GgufBuilder(2, 0).tensor("a", {8}, 0, 0).tensor("a", {8}, 0, 32).data(96), "tensor 'a' appears twice");
}

} // namespace
