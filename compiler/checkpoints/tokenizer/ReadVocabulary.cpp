//===- ReadVocabulary.cpp - what a GGUF file says about its tokenizer ------------------------------------------------===//
#include "compiler/checkpoints/gguf/GgufFile.h"
#include "compiler/checkpoints/tokenizer/GgufTokenizer.h"
#include "compiler/checkpoints/tokenizer/Splitting.h"
#include <algorithm>

namespace heddle {
namespace {

/// An id that the file names; -1 where it names none, which some write as -1 of 32 bits. Any other id needs a token.
int64_t checkedId(int64_t id, std::string_view key, size_t tokens) {
  if (id < 0 || id == UINT32_MAX)
    return -1;
  if (static_cast<uint64_t>(id) >= tokens)
    throw TokenizerImportError(std::string(key) + " is " + std::to_string(id) + " for " + std::to_string(tokens) +
                               " tokens: the file is inconsistent, convert the model again");
  return id;
}

} // namespace

GgufVocabulary readVocabulary(const GgufFile &file) {
  GgufVocabulary v;
  v.model = file.string("tokenizer.ggml.model");
  v.pre = file.findString("tokenizer.ggml.pre").value_or("");
  for (std::string_view token : file.strings("tokenizer.ggml.tokens"))
    v.tokens.emplace_back(token);
  if (file.has("tokenizer.ggml.scores"))
    for (double score : file.numbers("tokenizer.ggml.scores"))
      v.scores.push_back(static_cast<float>(score));
  if (file.has("tokenizer.ggml.token_type"))
    for (int64_t type : file.integers("tokenizer.ggml.token_type"))
      v.types.push_back(static_cast<int32_t>(type));
  if (file.has("tokenizer.ggml.merges"))
    for (std::string_view merge : file.strings("tokenizer.ggml.merges"))
      v.merges.emplace_back(merge);
  auto id = [&](const char *key) { return checkedId(file.findInteger(key).value_or(-1), key, v.tokens.size()); };
  v.bos = id("tokenizer.ggml.bos_token_id");
  v.eos = id("tokenizer.ggml.eos_token_id");
  if (v.model == "bert") {
    v.first = id("tokenizer.ggml.cls_token_id");
    v.separator = id("tokenizer.ggml.seperator_token_id");
  }
  for (const char *key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    v.otherEnds.push_back(id(key));
  constexpr const char *kEnds = "tokenizer.ggml.eos_token_ids";
  if (file.has(kEnds))
    for (int64_t end : file.integers(kEnds))
      v.otherEnds.push_back(checkedId(end, kEnds, v.tokens.size()));
  v.unknown = id("tokenizer.ggml.unknown_token_id");
  v.addSpacePrefix = file.findBoolean("tokenizer.ggml.add_space_prefix");
  if (v.model == "t5") {
    v.shrinkSpaces = file.findBoolean("tokenizer.ggml.remove_extra_whitespaces").value_or(false);
    constexpr const char *kSpellings = "tokenizer.ggml.precompiled_charsmap";
    if (file.has(kSpellings))
      for (int64_t byte : file.integers(kSpellings)) // of bytes, signed or not
        v.spellings.push_back(static_cast<uint8_t>(byte));
  }
  v.addBos = file.findBoolean("tokenizer.ggml.add_bos_token");
  v.lowercase = file.findBoolean("tokenizer.ggml.normalizer.lowercase").value_or(true);
  v.stripAccents = file.findBoolean("tokenizer.ggml.normalizer.strip_accents");
  applyTokenizerDefaults(v);
  return v;
}

void applyTokenizerDefaults(GgufVocabulary &vocabulary) {
  const bool sentencePiece = vocabulary.model == "llama";
  const Splitting *splitting = vocabulary.model == "gpt2" ? findSplitting(vocabulary.pre) : nullptr;
  const auto outside = [&](int64_t id) { return id < 0 || id >= int64_t(vocabulary.tokens.size()); };
  for (int64_t *id : {&vocabulary.bos, &vocabulary.eos, &vocabulary.unknown, &vocabulary.first, &vocabulary.separator})
    if (outside(*id))
      *id = -1;
  std::erase_if(vocabulary.otherEnds, outside);
  if (vocabulary.unknown < 0)
    if (const auto found = std::ranges::find(vocabulary.types, kUnknown); found != vocabulary.types.end())
      vocabulary.unknown = found - vocabulary.types.begin();
  if (!vocabulary.addSpacePrefix)
    vocabulary.addSpacePrefix = sentencePiece;
  if (!vocabulary.addBos)
    vocabulary.addBos = sentencePiece || vocabulary.model == "bert" || (splitting && splitting->addsBos);
  if (vocabulary.model == "gemma4") // some of its files say otherwise, and the model answers nonsense without
    vocabulary.addBos = true;
}

} // namespace heddle
