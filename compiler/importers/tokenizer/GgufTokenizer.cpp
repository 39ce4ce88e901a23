//===- GgufTokenizer.cpp - the vocabulary of a GGUF file as a Hugging Face tokenizer ---------------------------------===//
#include "compiler/importers/tokenizer/GgufTokenizer.h"
#include "compiler/importers/tokenizer/JsonText.h"
#include "compiler/importers/tokenizer/Models.h"
#include "compiler/importers/tokenizer/Splitting.h"
#include <algorithm>
#include <array>

namespace heddle {
namespace {

/// Tokens that end a turn or mark a place to fill in. Some converters forget to mark them as control tokens, and llama.cpp
/// goes by the text; so Gemma 3's "</s>", in the file as a tag of HTML, is a control token.
bool looksLikeControl(std::string_view text) {
  static constexpr auto kTexts = std::to_array<std::string_view>({
      "<|eot_id|>",
      "<|im_end|>",
      "<|end|>",
      "<|return|>",
      "<|call|>",
      "<|flush|>",
      "<|calls|>",
      "<end_of_turn>",
      "<|endoftext|>",
      "</s>",
      "<|eom_id|>",
      "<EOT>",
      "_<EOT>",
      "[EOT]",
      "[EOS]",
      "<|end_of_text|>",
      "<end_of_utterance>",
      "<eos>",
      "<turn|>",
      "<|tool_response>",
      "<｜end▁of▁sentence｜>",
      "[e~[",
      "<|fim_prefix|>",
      "<fim-prefix>",
      "<fim_prefix>",
      "<｜fim▁begin｜>",
      "<PRE>",
      "▁<PRE>",
      "<|code_prefix|>",
      "<|prefix|>",
      "<|fim_suffix|>",
      "<fim-suffix>",
      "<fim_suffix>",
      "<｜fim▁hole｜>",
      "<SUF>",
      "▁<SUF>",
      "<|code_suffix|>",
      "<|suffix|>",
      "<|fim_middle|>",
      "<fim-middle>",
      "<fim_middle>",
      "<｜fim▁end｜>",
      "<MID>",
      "▁<MID>",
      "<|code_middle|>",
      "<|middle|>",
      "<|fim_pad|>",
      "<fim-pad>",
      "<fim_pad>",
      "<PAD>",
      "[PAD]",
      "<|fim_repo|>",
      "<|repo_name|>",
      "<fim-repo>",
      "<REPO>",
      "<reponame>",
      "<|file_sep|>",
  });
  return std::find(kTexts.begin(), kTexts.end(), text) != kTexts.end();
}

/// The inside of "added_tokens": what is found in a text before anything else, user-defined tokens in every text, control
/// and unknown tokens (special) only where special tokens are parsed.
std::string addedTokens(const GgufVocabulary &vocabulary, const TokenIds &ids) {
  std::string out;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string &text = vocabulary.tokens[id];
    const int32_t type = id < vocabulary.types.size() ? vocabulary.types[id] : kNormal;
    const bool special = type == kControl || type == kUnknown || looksLikeControl(text);
    // Of tokens with the same text only the last can be written.
    if ((!special && type != kUserDefined) || ids.at(text) != int32_t(id))
      continue;
    out += (out.empty() ? "{\"id\":" : ",\n{\"id\":") + std::to_string(id) + ",\"content\":";
    appendJsonString(out, text);
    out += ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":";
    out += special ? "true}" : "false}";
  }
  return out;
}

std::string vocabularyEntries(const GgufVocabulary &vocabulary) {
  std::string out;
  out.reserve(vocabulary.tokens.size() * 20);
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!out.empty())
      out += ",\n";
    appendJsonString(out, vocabulary.tokens[id]);
    out += ':';
    out += std::to_string(id);
  }
  return out;
}

/// Checked, and with a name for each empty token.
GgufVocabulary checked(GgufVocabulary vocabulary) {
  const size_t count = vocabulary.tokens.size();
  if (count == 0)
    throw TokenizerImportError("tokenizer.ggml.tokens: the vocabulary is empty; convert the model again");
  if (count > size_t(INT32_MAX))
    throw TokenizerImportError("tokenizer.ggml.tokens: " + std::to_string(count) + " tokens are more than 32-bit ids can name");
  if (!vocabulary.types.empty() && vocabulary.types.size() != count)
    throw TokenizerImportError("tokenizer.ggml.token_type: " + std::to_string(vocabulary.types.size()) + " types for " +
                               std::to_string(count) + " tokens; convert the model again");
  for (size_t id = 0; id < count; ++id) {
    std::string &text = vocabulary.tokens[id];
    if (const size_t at = findBrokenUtf8(text); at != std::string::npos)
      throw TokenizerImportError("tokenizer.ggml.tokens: token " + std::to_string(id) + " is not valid UTF-8 at byte " +
                                 std::to_string(at));
    if (text.empty())
      text = "[EMPTY_" + std::to_string(id) + "]";
  }
  return vocabulary;
}

} // namespace

std::string buildTokenizerJson(const GgufVocabulary &source) {
  const bool byteLevel = source.model == "gpt2";
  if (!byteLevel && source.model != "llama")
    throw TokenizerImportError("tokenizer.ggml.model: unknown tokenizer '" + source.model + "'; known are gpt2, llama");
  const GgufVocabulary vocabulary = checked(source);
  TokenIds ids;
  ids.reserve(vocabulary.tokens.size());
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id)
    ids[vocabulary.tokens[id]] = int32_t(id);

  const TokenizerParts parts = byteLevel ? byteLevelParts(vocabulary, ids) : sentencePieceParts(vocabulary, ids);
  nlohmann::ordered_json model = {{"type", "BPE"},
                                  {"dropout", nullptr},
                                  {"continuing_subword_prefix", nullptr},
                                  {"end_of_word_suffix", nullptr},
                                  {"fuse_unk", false}};
  model.update(parts.settings);
  std::string head = model.dump();
  head.pop_back(); // the vocabulary and merges come inside

  std::string json = "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n\"added_tokens\":[";
  json += addedTokens(vocabulary, ids) + "],\n\"normalizer\":" + parts.normalizer.dump();
  json +=
      ",\n\"pre_tokenizer\":" + parts.preTokenizer.dump() + ",\n\"post_processor\":null,\n\"decoder\":" + parts.decoder.dump();
  json += ",\n\"model\":" + head + ",\"vocab\":{\n" + vocabularyEntries(vocabulary);
  json += "},\"merges\":[\n" + parts.merges + "]}}\n";
  return json;
}

void applyTokenizerDefaults(GgufVocabulary &vocabulary) {
  const bool sentencePiece = vocabulary.model == "llama";
  const Splitting *splitting = sentencePiece ? nullptr : findSplitting(vocabulary.pre);
  const auto id = [&](int64_t &value, int64_t fallback) {
    if (value < 0 || value >= int64_t(vocabulary.tokens.size()))
      value = fallback < int64_t(vocabulary.tokens.size()) ? fallback : -1;
  };
  id(vocabulary.bos, sentencePiece ? 1 : 11);
  id(vocabulary.eos, sentencePiece ? 2 : 11);
  id(vocabulary.unknown, sentencePiece ? 0 : -1);
  if (!vocabulary.addSpacePrefix)
    vocabulary.addSpacePrefix = sentencePiece;
  if (!vocabulary.addBos)
    vocabulary.addBos = sentencePiece || (splitting && splitting->addsBos);
}

} // namespace heddle
