//===- Merges.cpp - vocabularies with a list of merges: GPT-2's byte-level BPE, Gemma 4's BPE of text ----------------===//
#include "compiler/checkpoints/tokenizer/JsonText.h"
#include "compiler/checkpoints/tokenizer/Models.h"
#include "compiler/checkpoints/tokenizer/Splitting.h"
#include <cctype>
#include <unordered_set>

namespace heddle {
namespace {

using Json = nlohmann::ordered_json;

/// The character that stands for a byte: printable bytes of Latin-1 are themselves, the others follow from U+0100.
std::vector<std::string> byteCharacters() {
  std::vector<std::string> characters;
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    const int code = itself ? byte : next++;
    characters.push_back(code < 0x80 ? std::string(1, char(code))
                                     : std::string{char(0xC0 | code >> 6), char(0x80 | (code & 0x3F))});
  }
  return characters;
}

Json split(std::string_view regex, const char *behavior) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", behavior}, {"invert", false}};
}

Json preTokenizer(const Splitting &splitting, const TokenIds &ids) {
  Json steps = Json::array();
  for (const Cut &cut : splitting.cuts)
    steps.push_back(cut.kind == Cut::Regex ? split(cut.pattern, "Isolated")
                                           : Json{{"type", "DigitGroups"},
                                                  {"digits", cut.kind == Cut::AllDigits ? "all" : "ascii"},
                                                  {"joined", cut.kind == Cut::AllDigits}});
  if (!splitting.rawText) {
    steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}});
    // A byte without a token vanishes, but what stands on its two sides must not merge: it ends a word.
    std::string missing;
    for (const std::string &character : byteCharacters())
      if (!ids.contains(character))
        missing += (std::ispunct(uint8_t(character[0])) ? "\\" : "") + character;
    if (!missing.empty())
      steps.push_back(split("[" + missing + "]", "Removed"));
  }
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

/// The inside of "vocab": control tokens are no part of it, so that no text becomes one.
std::string vocabularyEntries(const GgufVocabulary &vocabulary, const TokenIds &ids) {
  std::string out;
  out.reserve(vocabulary.tokens.size() * 20);
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const auto found = ids.find(vocabulary.tokens[id]);
    if (found == ids.end() || found->second != int32_t(id))
      continue;
    out += out.empty() ? "" : ",\n";
    appendJsonString(out, vocabulary.tokens[id]);
    out += ':';
    out += std::to_string(id);
  }
  return out;
}

/// The list as the file has it, each merge as a pair. The space between the two is the first after the first byte.
std::string mergePairs(const GgufVocabulary &vocabulary, const TokenIds &ids) {
  // Merges of control tokens: some converters write such tokens as text.
  std::unordered_set<std::string_view> leftOut;
  for (const std::string &token : vocabulary.tokens)
    if (!ids.contains(token))
      leftOut.insert(token);
  std::string out;
  size_t bytes = 0;
  for (const std::string &merge : vocabulary.merges)
    bytes += merge.size() + 10;
  out.reserve(bytes);
  for (size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const std::string_view merge = vocabulary.merges[i];
    const size_t space = merge.find(' ', 1);
    const auto fail = [&](const std::string &why) {
      throw TokenizerImportError("tokenizer.ggml.merges: merge " + std::to_string(i) + " " + why + "; convert the model again");
    };
    if (space == std::string_view::npos)
      fail("is not two tokens and a space");
    const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    const std::string joined = std::string(left) + std::string(right);
    bool skipped = false;
    for (const std::string_view token : {left, right, std::string_view(joined)})
      if (!ids.contains(token) && !leftOut.contains(token))
        fail("names a token that is not in the vocabulary");
      else
        skipped |= !ids.contains(token);
    if (skipped)
      continue;
    out += out.empty() ? "[" : ",\n[";
    appendJsonString(out, left);
    out += ',';
    appendJsonString(out, right);
    out += ']';
  }
  return out;
}

} // namespace

TokenizerParts mergeParts(const GgufVocabulary &vocabulary, const TokenIds &ids) {
  const Splitting *splitting = findSplitting(vocabulary.model == "gemma4" ? "gemma4" : vocabulary.pre);
  if (!splitting)
    throw TokenizerImportError("tokenizer.ggml.pre: unknown pre-tokenizer '" + vocabulary.pre + "'; known are " +
                               splittingNames());
  if (vocabulary.merges.empty())
    throw TokenizerImportError("tokenizer.ggml.merges: missing, but a " + vocabulary.model +
                               " tokenizer is made of merges; convert the model again");
  TokenizerParts parts;
  parts.everyTokenById = false;
  parts.preTokenizer = preTokenizer(*splitting, ids);
  parts.decoder = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  if (splitting->rawText) {
    // Without marks the first step replaces nothing; the adapter wants one to know the kind of decoder.
    const char *mark = splitting->marksSpaces ? kSpaceMark : " ";
    const Json unmark = {{"type", "Replace"}, {"pattern", {{"String", mark}}}, {"content", " "}};
    parts.decoder = {{"type", "Sequence"}, {"decoders", {unmark, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}}}};
    if (splitting->marksSpaces)
      parts.normalizer = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}};
  }
  const Json settings = {{"type", "BPE"},
                         {"dropout", nullptr},
                         {"unk_token", nullptr},
                         {"continuing_subword_prefix", nullptr},
                         {"end_of_word_suffix", nullptr},
                         {"fuse_unk", false},
                         {"byte_fallback", splitting->rawText},
                         {"ignore_merges", splitting->wholeWords},
                         {"line_breaks", splitting->lineBreaks}};
  parts.model = settings.dump();
  parts.model.pop_back();
  parts.model += ",\"vocab\":{\n" + vocabularyEntries(vocabulary, ids) + "},\"merges\":[\n" + mergePairs(vocabulary, ids) + "]}";
  return parts;
}

} // namespace heddle
