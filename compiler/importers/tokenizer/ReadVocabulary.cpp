//===- ReadVocabulary.cpp - what a GGUF file says about its tokenizer ------------------------------------------------===//
#include "compiler/importers/gguf/GgufFile.h"
#include "compiler/importers/tokenizer/GgufTokenizer.h"
#include "compiler/importers/tokenizer/Splitting.h"
#include <algorithm>

namespace heddle {

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
  v.bos = file.findInteger("tokenizer.ggml.bos_token_id").value_or(-1);
  v.eos = file.findInteger("tokenizer.ggml.eos_token_id").value_or(-1);
  for (const char *key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    v.otherEnds.push_back(file.findInteger(key).value_or(-1));
  if (file.has("tokenizer.ggml.eos_token_ids"))
    for (int64_t id : file.integers("tokenizer.ggml.eos_token_ids"))
      v.otherEnds.push_back(id);
  v.unknown = file.findInteger("tokenizer.ggml.unknown_token_id").value_or(-1);
  v.addSpacePrefix = file.findBoolean("tokenizer.ggml.add_space_prefix");
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
  for (int64_t *id : {&vocabulary.bos, &vocabulary.eos, &vocabulary.unknown})
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
