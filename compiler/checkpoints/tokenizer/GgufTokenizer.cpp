//===- GgufTokenizer.cpp - the vocabulary of a GGUF file as a Hugging Face tokenizer ---------------------------------===//
#include "compiler/checkpoints/tokenizer/GgufTokenizer.h"
#include "compiler/checkpoints/tokenizer/JsonText.h"
#include "compiler/checkpoints/tokenizer/Models.h"
#include "runtime/text/Utf8.h"

namespace heddle {
namespace {

/// The inside of "added_tokens": what is found in a text before anything else, user-defined tokens in every text, control
/// tokens (special) only where special tokens are parsed. Of tokens with one text the last can be written.
std::string addedTokens(const GgufVocabulary &vocabulary, const TokenRoles &roles, const TokenIds &added) {
  std::string out;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const TokenRole role = roles.roles[id];
    if (role == TokenRole::Piece || added.at(vocabulary.tokens[id]) != int32_t(id))
      continue;
    out += (out.empty() ? "{\"id\":" : ",\n{\"id\":") + std::to_string(id) + ",\"content\":";
    appendJsonString(out, vocabulary.tokens[id]);
    out += ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":";
    out += role == TokenRole::UserDefined ? "false" : "true";
    out += role == TokenRole::Tag ? ",\"printed\":true}" : "}";
  }
  return out;
}

/// The inside of "duplicates": tokens whose text is written by another, but which can be generated.
std::string duplicates(const GgufVocabulary &vocabulary, const TokenRoles &roles, const TokenIds &added, const TokenIds *pieces) {
  std::string out;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string &text = vocabulary.tokens[id];
    const bool isPiece = roles.roles[id] == TokenRole::Piece;
    if (isPiece ? !pieces || pieces->at(text) == int32_t(id) : added.at(text) == int32_t(id))
      continue;
    out += (out.empty() ? "{\"id\":" : ",\n{\"id\":") + std::to_string(id) + ",\"content\":";
    appendJsonString(out, text);
    out += isPiece ? ",\"added\":false" : ",\"added\":true";
    out += roles.roles[id] == TokenRole::Control ? ",\"hidden\":true}" : ",\"hidden\":false}";
  }
  return out;
}

/// The tokens around a text of a "bert" vocabulary, "[CLS] A [SEP]" and "[CLS] A [SEP] B [SEP]", as far as the file names them;
/// null for other vocabularies.
nlohmann::json frame(const GgufVocabulary &vocabulary) {
  const int64_t first = vocabulary.first >= 0 ? vocabulary.first : vocabulary.bos;
  const int64_t last = vocabulary.separator >= 0 ? vocabulary.separator : vocabulary.eos;
  using Json = nlohmann::json;
  if (vocabulary.model != "bert" || (first < 0 && last < 0))
    return nullptr;
  Json tokens = Json::object(), single = Json::array(), pair;
  auto special = [&](Json &list, int64_t id, int type) {
    if (id < 0)
      return;
    const std::string &text = vocabulary.tokens[static_cast<size_t>(id)];
    list.push_back({{"SpecialToken", {{"id", text}, {"type_id", type}}}});
    tokens[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
  };
  special(single, first, 0);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  special(single, last, 0);
  pair = single;
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  special(pair, last, 1);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
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
    if (const size_t at = firstInvalidUtf8(text); at != std::string::npos)
      throw TokenizerImportError("tokenizer.ggml.tokens: token " + std::to_string(id) + " is not valid UTF-8 at byte " +
                                 std::to_string(at));
    if (text.empty())
      text = "[EMPTY_" + std::to_string(id) + "]";
  }
  return vocabulary;
}

} // namespace

std::string buildTokenizerJson(const GgufVocabulary &source) {
  const bool merged = source.model == "gpt2" || source.model == "gemma4";
  if (!merged && source.model != "llama" && source.model != "t5" && source.model != "bert")
    throw TokenizerImportError("tokenizer.ggml.model: unknown tokenizer '" + source.model +
                               "'; known are gpt2, gemma4, llama, t5, bert");
  const GgufVocabulary vocabulary = checked(source);
  const TokenRoles roles = tokenRoles(vocabulary);
  TokenIds pieces, added; // what text is made of; what is found in it first
  pieces.reserve(vocabulary.tokens.size());
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const TokenRole role = roles.roles[id];
    if (role == TokenRole::Piece || role == TokenRole::UserDefined)
      pieces[vocabulary.tokens[id]] = int32_t(id);
    if (role != TokenRole::Piece)
      added[vocabulary.tokens[id]] = int32_t(id);
  }
  const TokenizerParts parts = merged ? mergeParts(vocabulary, pieces) : pieceParts(vocabulary, roles);
  std::string json = "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n\"added_tokens\":[";
  json += addedTokens(vocabulary, roles, added) + "],\n\"duplicates\":[";
  json += duplicates(vocabulary, roles, added, parts.everyTokenById ? nullptr : &pieces);
  json += "],\n\"normalizer\":" + parts.normalizer.dump() + ",\n\"pre_tokenizer\":" + parts.preTokenizer.dump();
  json += ",\n\"post_processor\":" + frame(vocabulary).dump() + ",\n\"decoder\":" + parts.decoder.dump() +
          ",\n\"model\":" + parts.model + "}\n";
  return json;
}

} // namespace heddle
