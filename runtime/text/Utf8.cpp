//===- Utf8.cpp - what is well-formed UTF-8 --------------------------------------------------------------------------===//
#include "runtime/text/Utf8.h"
#include <cstdint>

namespace heddle {
namespace {

/// What a first byte promises: the length of the character and the range of its second byte, which excludes overlong
/// forms, surrogates and what lies beyond U+10FFFF (Unicode Standard, table 3-7). Length 0: no character starts so.
struct Lead {
  size_t length;
  uint8_t low, high;
};

Lead leadOf(uint8_t byte) {
  if (byte < 0x80)
    return {1, 0, 0};
  if (byte < 0xC2)
    return {0, 0, 0};
  if (byte < 0xE0)
    return {2, 0x80, 0xBF};
  if (byte < 0xF0)
    return {3, uint8_t(byte == 0xE0 ? 0xA0 : 0x80), uint8_t(byte == 0xED ? 0x9F : 0xBF)};
  if (byte < 0xF5)
    return {4, uint8_t(byte == 0xF0 ? 0x90 : 0x80), uint8_t(byte == 0xF4 ? 0x8F : 0xBF)};
  return {0, 0, 0};
}

/// How many bytes at `at` belong together: those of a character, or of the longest beginning of one (at least 1).
size_t together(std::string_view bytes, size_t at, const Lead &lead) {
  size_t good = 1;
  for (; good < lead.length && at + good < bytes.size(); ++good) {
    const uint8_t byte = uint8_t(bytes[at + good]);
    if (byte < (good == 1 ? lead.low : 0x80) || byte > (good == 1 ? lead.high : 0xBF))
      break;
  }
  return good;
}

} // namespace

size_t firstInvalidUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Lead lead = leadOf(uint8_t(text[at]));
    if (together(text, at, lead) != lead.length)
      return at;
    at += lead.length;
  }
  return std::string_view::npos;
}

size_t appendWholeCharacters(std::string_view bytes, std::string &out) {
  size_t at = 0;
  while (at < bytes.size()) {
    const Lead lead = leadOf(uint8_t(bytes[at]));
    const size_t good = together(bytes, at, lead);
    if (good == lead.length)
      out.append(bytes, at, good);
    else if (good < lead.length && at + good == bytes.size())
      break; // more bytes may complete it
    else
      out.append("\xEF\xBF\xBD");
    at += good;
  }
  return at;
}

std::string repairedUtf8(std::string_view bytes) {
  std::string out;
  if (appendWholeCharacters(bytes, out) < bytes.size())
    out += "\xEF\xBF\xBD"; // the beginning of a character
  return out;
}

std::string printable(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (char c : repairedUtf8(bytes)) {
    uint8_t byte = uint8_t(c);
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7F)
      out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    else
      out += c;
  }
  return out;
}

} // namespace heddle
