//===- Pieces.cpp - vocabularies that are a list of tokens with scores: SentencePiece's two models, WordPiece --------===//
#include "compiler/checkpoints/tokenizer/JsonText.h"
#include "compiler/checkpoints/tokenizer/Models.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace heddle {
namespace {

using Json = nlohmann::ordered_json;

/// "<0x0A>": never text, whatever its type.
bool isByte(std::string_view text) { return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>'); }

/// The inside of the models' "vocab": [text, score] by id, a null score for what no text becomes.
std::string entries(const GgufVocabulary &vocabulary, const TokenRoles &roles) {
  std::string out;
  out.reserve(vocabulary.tokens.size() * 32);
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string &text = vocabulary.tokens[id];
    const int32_t type = id < vocabulary.types.size() ? vocabulary.types[id] : kNormal;
    const bool isText = (roles.roles[id] == TokenRole::Piece || roles.roles[id] == TokenRole::UserDefined) && type != kByte;
    out += id ? ",\n[" : "[";
    appendJsonString(out, text);
    if (!isText || isByte(text)) {
      out += ",null]";
      continue;
    }
    // As a double it comes back exactly; JSON has no infinities.
    constexpr double kMost = std::numeric_limits<float>::max();
    char digits[32];
    const double score = id < vocabulary.scores.size() ? std::clamp(double(vocabulary.scores[id]), -kMost, kMost) : 0;
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, score);
    out += ',';
    out.append(digits, end);
    out += ']';
  }
  return out;
}

std::string base64(const std::vector<uint8_t> &bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i)
      group = group << 8 | (i < count ? bytes[at + i] : 0);
    for (size_t i = 0; i < 4; ++i)
      out += i <= count ? kDigits[group >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

void checkScores(const GgufVocabulary &vocabulary) {
  const size_t count = vocabulary.tokens.size();
  if (vocabulary.scores.size() != count)
    throw TokenizerImportError("tokenizer.ggml.scores: " + std::to_string(vocabulary.scores.size()) + " scores for " +
                               std::to_string(count) + " tokens; convert the model again");
  for (size_t id = 0; id < count; ++id)
    if (std::isnan(vocabulary.scores[id]))
      throw TokenizerImportError("tokenizer.ggml.scores: the score of token " + std::to_string(id) + " is not a number");
}

Json replace(const char *from, const char *to) { return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}}; }

std::string model(Json settings, const GgufVocabulary &vocabulary, const TokenRoles &roles) {
  if (vocabulary.unknown >= 0 && size_t(vocabulary.unknown) < vocabulary.tokens.size())
    settings["unk_id"] = vocabulary.unknown;
  std::string json = settings.dump();
  json.pop_back();
  return json + ",\"vocab\":[\n" + entries(vocabulary, roles) + "]}";
}

} // namespace

TokenizerParts pieceParts(const GgufVocabulary &vocabulary, const TokenRoles &roles) {
  TokenizerParts parts;
  Json decoders = {replace(kSpaceMark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  const Json strip = {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}};
  if (vocabulary.model == "bert") {
    parts.normalizer = {{"type", "BertNormalizer"},
                        {"clean_text", true},
                        {"handle_chinese_chars", true},
                        {"strip_accents", vocabulary.stripAccents.value_or(vocabulary.lowercase)},
                        {"lowercase", vocabulary.lowercase}};
    parts.preTokenizer = {{"type", "BertPreTokenizer"}};
    decoders.push_back(strip);
    parts.model = model({{"type", "MarkedWordPiece"}, {"mark", kSpaceMark}}, vocabulary, roles);
  } else if (vocabulary.model == "t5") {
    checkScores(vocabulary);
    const bool prefix = vocabulary.addSpacePrefix.value_or(false);
    parts.normalizer = {{"type", "SentencePiece"},
                        {"charsmap", vocabulary.spellings.empty() ? Json() : Json(base64(vocabulary.spellings))},
                        {"add_space_prefix", prefix},
                        {"remove_extra_whitespaces", vocabulary.shrinkSpaces}};
    if (prefix || vocabulary.shrinkSpaces) { // where spaces shrink, none at all is left in front
      decoders.push_back(strip);
      decoders.back()["start"] = vocabulary.shrinkSpaces ? INT16_MAX : 1;
    }
    parts.model = model({{"type", "SentencePieceUnigram"}}, vocabulary, roles);
  } else {
    checkScores(vocabulary);
    parts.normalizer = replace(" ", kSpaceMark);
    if (vocabulary.addSpacePrefix.value_or(true)) {
      parts.normalizer = {{"type", "Sequence"},
                          {"normalizers", {{{"type", "Prepend"}, {"prepend", kSpaceMark}}, parts.normalizer}}};
      decoders.push_back(strip);
    }
    parts.model = model({{"type", "SentencePieceBPE"}}, vocabulary, roles);
  }
  parts.decoder = {{"type", "Sequence"}, {"decoders", decoders}};
  return parts;
}

} // namespace heddle
