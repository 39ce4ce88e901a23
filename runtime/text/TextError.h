//===- TextError.h - what goes wrong with text -----------------------------------------------------------------------===//
#pragma once
#include <stdexcept>

namespace heddle {

/// A text, tokenizer or chat template that cannot be used. The message is one line: what, where, what to do.
struct TextError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

} // namespace heddle
