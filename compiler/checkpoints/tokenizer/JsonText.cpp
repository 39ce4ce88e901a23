//===- JsonText.cpp - long lists of strings as JSON ------------------------------------------------------------------===//
#include "compiler/checkpoints/tokenizer/JsonText.h"
#include <cstdint>

namespace heddle {

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
