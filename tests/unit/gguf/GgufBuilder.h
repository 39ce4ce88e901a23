//===- GgufBuilder.h - small GGUF files in memory, right or deliberately wrong --------------------------------------===//
#pragma once
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::test {

/// Writes the fields in order; the caller decides what is true. Header first, then keys, tensors, data().
class GgufBuilder {
public:
  explicit GgufBuilder(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    raw("GGUF");
    put(version).put(tensors).put(keys);
  }
  template <class T> GgufBuilder &put(T value) {
    const auto *p = reinterpret_cast<const std::byte *>(&value);
    bytes_.insert(bytes_.end(), p, p + sizeof value);
    return *this;
  }
  GgufBuilder &raw(std::string_view text) {
    const auto *p = reinterpret_cast<const std::byte *>(text.data());
    bytes_.insert(bytes_.end(), p, p + text.size());
    return *this;
  }
  GgufBuilder &text(std::string_view s) { return put<uint64_t>(s.size()).raw(s); }
  template <class T> GgufBuilder &key(std::string_view name, uint32_t type, T value) { return text(name).put(type).put(value); }
  GgufBuilder &stringKey(std::string_view name, std::string_view value) { return text(name).put<uint32_t>(8).text(value); }
  GgufBuilder &arrayKey(std::string_view name, uint32_t element, uint64_t count) {
    return text(name).put<uint32_t>(9).put(element).put(count); // the elements follow
  }
  GgufBuilder &tensor(std::string_view name, std::initializer_list<uint64_t> dims, uint32_t type, uint64_t offset) {
    text(name).put(static_cast<uint32_t>(dims.size()));
    for (uint64_t d : dims)
      put(d);
    return put(type).put(offset);
  }
  /// Pads to `alignment` and adds `n` bytes of data.
  GgufBuilder &data(size_t n, size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
    for (size_t i = 0; i < n; ++i)
      bytes_.push_back(static_cast<std::byte>(i * 7 + 1));
    return *this;
  }
  const std::vector<std::byte> &bytes() const { return bytes_; }

private:
  std::vector<std::byte> bytes_;
};

/// One of everything: all scalar types, arrays of numbers, bools and strings, three tensors.
inline std::vector<std::byte> completeFile(uint32_t version = 3) {
  GgufBuilder b(3, 18, version);
  b.stringKey("general.architecture", "llama").key<uint32_t>("general.alignment", 4, 64);
  b.key<uint8_t>("u8", 0, 200).key<int8_t>("i8", 1, -100).key<uint16_t>("u16", 2, 60000).key<int16_t>("i16", 3, -30000);
  b.key<uint32_t>("u32", 4, 4000000000u).key<int32_t>("i32", 5, -2000000000).key<float>("f32", 6, 0.1f);
  b.key<uint8_t>("yes", 7, 1)
      .key<uint64_t>("u64", 10, 1ull << 62)
      .key<int64_t>("i64", 11, -(1ll << 62))
      .key<double>("f64", 12, 0.1);
  b.key<uint64_t>("huge", 10, UINT64_MAX);
  b.arrayKey("words", 8, 3).text("a").text("").text("caf\xc3\xa9");
  b.arrayKey("scores", 6, 2).put(1.5f).put(-2.5f);
  b.arrayKey("kinds", 5, 3).put<int32_t>(1).put<int32_t>(-3).put<int32_t>(6);
  b.arrayKey("flags", 7, 2).put<uint8_t>(0).put<uint8_t>(1);
  b.tensor("norm", {8}, 0, 0).tensor("weight", {64, 3}, 3, 64).tensor("cube", {32, 2, 2}, 8, 320);
  b.data(320 + 4 * 34, 64); // norm: 32 bytes; weight: 3 rows of 40; cube: 4 rows of 34
  return b.bytes();
}

} // namespace heddle::test
