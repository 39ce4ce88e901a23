//===- TokenRoles.h - which tokens are text, which are not, which end one --------------------------------------------===//
//
// One rule for everything: what ends a text, what is hidden, what is found in a prompt. A token is a control token if the file
// types it so, or if its text is one that is never written for itself (ends of turns and texts, places to fill in), whatever type
// a converter gave it. A text ends with the ids that the file names and with every control token whose text says so.
//
// "</s>" is such a text in Llama 2 and Mistral, and a tag of HTML in Gemma, where a model writes it to strike out. It counts only
// if the file names it, types it as control, or says neither of any token.
//
//===----------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/tokenizer/GgufTokenizer.h"

namespace heddle {

enum class TokenRole : uint8_t {
  Piece,       // text is made of these
  UserDefined, // found in any text before anything else, and printed
  Tag,         // found only where special tokens are meant, but printed: a "</s>" that ends nothing
  Control,     // found only where special tokens are meant, never printed
};

struct TokenRoles {
  std::vector<TokenRole> roles; // by id
  std::vector<int64_t> ends;    // sorted
};

TokenRoles tokenRoles(const GgufVocabulary &vocabulary);

} // namespace heddle
