//===- Models.h - the kinds of GGUF vocabulary, for the files of this folder -----------------------------------------===//
#pragma once
#include "compiler/checkpoints/tokenizer/TokenRoles.h"
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>

namespace heddle {

inline constexpr char kSpaceMark[] = "\xE2\x96\x81"; // U+2581 stands for a space

/// Ids of the tokens that text is made of, by text. The last of equal ones wins, as in llama.cpp.
using TokenIds = std::unordered_map<std::string_view, int32_t>;

/// The parts of a tokenizer.json that depend on the kind of model.
struct TokenizerParts {
  nlohmann::ordered_json normalizer, preTokenizer, decoder;
  std::string model;          // JSON
  bool everyTokenById = true; // of tokens with one text the model's list has all
};

TokenizerParts mergeParts(const GgufVocabulary &vocabulary, const TokenIds &ids);     // gpt2, gemma4
TokenizerParts pieceParts(const GgufVocabulary &vocabulary, const TokenRoles &roles); // llama, t5, bert

} // namespace heddle
