//===- Utf8.h - whole characters out of bytes ------------------------------------------------------------------------===//
#pragma once
#include <string>
#include <string_view>

namespace heddle {

/// Appends the characters of `bytes` to `out`, each maximal broken part as one U+FFFD (as the Unicode Standard recommends),
/// and returns how many bytes were used: all but a last character that more bytes could complete.
size_t appendWholeCharacters(std::string_view bytes, std::string &out);

/// UTF-8 in any case: each maximal broken part is one U+FFFD.
std::string repairedUtf8(std::string_view bytes);

/// For a line that people read: repaired, and control characters as \n, \t or \x1B.
std::string printable(std::string_view bytes);

} // namespace heddle
