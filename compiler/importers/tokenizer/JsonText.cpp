//===- JsonText.cpp - long lists of strings as JSON ------------------------------------------------------------------===//
#include "compiler/importers/tokenizer/JsonText.h"
#include <cstdint>

namespace heddle {

size_t findBrokenUtf8(std::string_view text) {
  size_t at = 0;
  const auto byte = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : uint8_t(0); };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  while (at < text.size()) {
    const uint8_t first = byte(at), second = byte(at + 1);
    if (first < 0x80)
      at += 1;
    else if (first >= 0xC2 && first < 0xE0 && follows(at + 1))
      at += 2;
    // Three bytes: no overlong form (E0 80-9F), no surrogate (ED A0-BF).
    else if (first >= 0xE0 && first < 0xF0 && follows(at + 1) && follows(at + 2) && !(first == 0xE0 && second < 0xA0) &&
             !(first == 0xED && second > 0x9F))
      at += 3;
    // Four: no overlong form (F0 80-8F), nothing beyond U+10FFFF (F4 90 and up).
    else if (first >= 0xF0 && first < 0xF5 && follows(at + 1) && follows(at + 2) && follows(at + 3) &&
             !(first == 0xF0 && second < 0x90) && !(first == 0xF4 && second > 0x8F))
      at += 4;
    else
      return at;
  }
  return std::string_view::npos;
}

void appendJsonString(std::string &out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (uint8_t(c) < 0x20) {
      out += "\\u00";
      out += kHex[uint8_t(c) >> 4];
      out += kHex[uint8_t(c) & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

} // namespace heddle
