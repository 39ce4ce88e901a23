//===- Models.h - the two kinds of GGUF vocabulary, for the files of this folder -------------------------------------===//
#pragma once
#include "compiler/importers/tokenizer/GgufTokenizer.h"
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>

namespace heddle {

/// Ids of all tokens, by text. The last of equal ones wins, as in llama.cpp.
using TokenIds = std::unordered_map<std::string_view, int32_t>;

/// The parts of a tokenizer.json that depend on the kind of model. `merges` is the inside of a JSON array.
struct TokenizerParts {
  nlohmann::ordered_json normalizer, preTokenizer, decoder;
  nlohmann::ordered_json settings; // of the model, beside its vocabulary and merges
  std::string merges;
};

TokenizerParts byteLevelParts(const GgufVocabulary &vocabulary, const TokenIds &ids);
TokenizerParts sentencePieceParts(const GgufVocabulary &vocabulary, const TokenIds &ids);

} // namespace heddle
