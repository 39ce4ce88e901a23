//===- ByteLevel.cpp - GPT-2's kind of vocabulary: byte-level BPE with a list of merges ------------------------------===//
#include "compiler/importers/tokenizer/JsonText.h"
#include "compiler/importers/tokenizer/Models.h"
#include "compiler/importers/tokenizer/Splitting.h"
#include <cctype>

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
  for (const std::string_view pattern : splitting.patterns)
    steps.push_back(split(pattern, "Isolated"));
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}});
  // A byte without a token vanishes, but what stands on its two sides must not merge: it ends a word.
  std::string missing;
  for (const std::string &character : byteCharacters())
    if (!ids.contains(character))
      missing += (std::ispunct(uint8_t(character[0])) ? "\\" : "") + character;
  if (!missing.empty())
    steps.push_back(split("[" + missing + "]", "Removed"));
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

/// The list as the file has it, each merge as a pair. The space between the two is the first after the first byte.
std::string mergePairs(const GgufVocabulary &vocabulary, const TokenIds &ids) {
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
    if (!ids.contains(left) || !ids.contains(right) || !ids.contains(std::string(left) + std::string(right)))
      fail("names a token that is not in the vocabulary");
    out += out.empty() ? "[" : ",\n[";
    appendJsonString(out, left);
    out += ',';
    appendJsonString(out, right);
    out += ']';
  }
  return out;
}

} // namespace

TokenizerParts byteLevelParts(const GgufVocabulary &vocabulary, const TokenIds &ids) {
  const Splitting *splitting = findSplitting(vocabulary.pre);
  if (!splitting)
    throw TokenizerImportError("tokenizer.ggml.pre: unknown pre-tokenizer '" + vocabulary.pre + "'; known are " +
                               splittingNames());
  if (vocabulary.merges.empty())
    throw TokenizerImportError("tokenizer.ggml.merges: missing, but a gpt2 tokenizer is made of merges; convert the model again");
  TokenizerParts parts;
  parts.preTokenizer = preTokenizer(*splitting, ids);
  parts.decoder = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  parts.settings = {{"unk_token", nullptr}, {"byte_fallback", false}, {"ignore_merges", splitting->wholeWords}};
  parts.merges = mergePairs(vocabulary, ids);
  return parts;
}

} // namespace heddle
