//===- Utf8.h - whole characters out of a stream of bytes ------------------------------------------------------------===//
#pragma once
#include <string>
#include <string_view>

namespace heddle {

/// Appends the characters of `bytes` to `out`, each maximal broken part as one U+FFFD (as the Unicode Standard recommends),
/// and returns how many bytes were used: all but a last character that more bytes could complete.
size_t appendWholeCharacters(std::string_view bytes, std::string &out);

} // namespace heddle
