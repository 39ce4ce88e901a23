//===- TokenText.h - what one token says ----------------------------------------------------------------------------===//
#pragma once
#include "runtime/text/Tokenizer.h"

namespace heddle {

/// The text of one token by itself. `bytes` is empty where `text` is exact; where the token holds a part of a character, `text`
/// has U+FFFD in its place and `bytes` what it is.
struct TokenText {
  std::string text, bytes;
};

/// Special tokens are spelt out, a leading space stays; ids outside the vocabulary have no text. Any thread.
TokenText tokenText(const Tokenizer &tokenizer, int32_t id);

} // namespace heddle
