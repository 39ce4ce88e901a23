//===- Utf8.h - what is well-formed UTF-8 ----------------------------------------------------------------------------===//
// The one judge of it, for files, requests and streams. Depends on nothing: the importers see it too.
#pragma once
#include <string>
#include <string_view>

namespace heddle {

/// Where the first byte stands that begins no well-formed character; npos when all is well.
size_t firstInvalidUtf8(std::string_view text);

/// Appends the characters of `bytes` to `out`, each maximal broken part as one U+FFFD (as the Unicode Standard recommends),
/// and returns how many bytes were used: all but a last character that more bytes could complete.
size_t appendWholeCharacters(std::string_view bytes, std::string &out);

/// UTF-8 in any case: each maximal broken part is one U+FFFD.
std::string repairedUtf8(std::string_view bytes);

/// For a line that people read: repaired, and control characters as \n, \t or \x1B.
std::string printable(std::string_view bytes);

} // namespace heddle
