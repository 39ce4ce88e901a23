//===- SentencePiece.cpp - vocabularies with scores, as merges -------------------------------------------------------===//
//
// SentencePiece's BPE joins, again and again, the two neighbours whose joined text is the token of the highest score, the
// leftmost of equals. Whatever surrounds a token, the joins inside it are those that its text alone would see, so there is
// just one pair that ever becomes that token: the last join when the token's text is cut into tokens. These pairs, ordered by
// score, are the merges of an ordinary BPE with the same results. (Listing every way to cut a token in two, as converters
// usually do, gives more than twice as many merges, and ties that an ordinary BPE breaks otherwise.)
//
//===----------------------------------------------------------------------------------------------------------------===//
#include "compiler/importers/tokenizer/JsonText.h"
#include "compiler/importers/tokenizer/Models.h"
#include <algorithm>
#include <cmath>

namespace heddle {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kSpace[] = "\xE2\x96\x81"; // U+2581 stands for a space
/// Finds the pair that becomes a token. Keeps its buffers from one token to the next.
class LastJoin {
public:
  LastJoin(const GgufVocabulary &vocabulary, const TokenIds &ids) : vocabulary_(vocabulary), ids_(ids) {}

  /// The bytes of the left one of the two symbols that `text`, a token, is joined from at last; 0 if it never becomes one.
  size_t find(std::string_view text) {
    symbols_.clear();
    joins_.clear();
    for (size_t at = 0; at < text.size(); ++at)
      if ((text[at] & 0xC0) != 0x80)
        symbols_.push_back({at, 0, int(symbols_.size()) - 1, int(symbols_.size()) + 1});
    symbols_.back().next = -1;
    for (size_t i = 0; i < symbols_.size(); ++i)
      symbols_[i].size = (i + 1 < symbols_.size() ? symbols_[i + 1].start : text.size()) - symbols_[i].start;
    for (size_t i = 0; i + 1 < symbols_.size(); ++i)
      offer(text, int(i));
    while (!joins_.empty()) {
      std::pop_heap(joins_.begin(), joins_.end());
      const Join join = joins_.back();
      joins_.pop_back();
      Symbol &left = symbols_[size_t(join.left)];
      if (left.size == 0 || left.next < 0)
        continue;
      Symbol &right = symbols_[size_t(left.next)];
      if (left.size + right.size != join.size)
        continue; // one of the two has grown since
      if (join.size == text.size())
        return left.size;
      left.size = join.size;
      right.size = 0;
      left.next = right.next;
      if (left.next >= 0)
        symbols_[size_t(left.next)].previous = join.left;
      offer(text, left.previous);
      offer(text, join.left);
    }
    return 0;
  }

private:
  struct Symbol {
    size_t start, size; // bytes; size 0: joined to the one before
    int previous, next;
  };
  struct Join {
    float score;
    int left;
    size_t size;
    bool operator<(const Join &other) const { return score != other.score ? score < other.score : left > other.left; }
  };

  /// The symbol and the one after it, if their text is a token.
  void offer(std::string_view text, int left) {
    if (left < 0 || symbols_[size_t(left)].next < 0)
      return;
    const Symbol &symbol = symbols_[size_t(left)];
    const size_t size = symbol.size + symbols_[size_t(symbol.next)].size;
    if (const auto found = ids_.find(text.substr(symbol.start, size)); found != ids_.end()) {
      joins_.push_back({vocabulary_.scores[size_t(found->second)], left, size});
      std::push_heap(joins_.begin(), joins_.end());
    }
  }

  const GgufVocabulary &vocabulary_;
  const TokenIds &ids_;
  std::vector<Symbol> symbols_;
  std::vector<Join> joins_; // a heap, the best in front
};

std::string mergesByScore(const GgufVocabulary &vocabulary, const TokenIds &ids) {
  struct Merge {
    float score;
    int32_t id;
    size_t left; // bytes of the left part
  };
  std::vector<Merge> merges;
  merges.reserve(vocabulary.tokens.size());
  LastJoin lastJoin(vocabulary, ids);
  size_t bytes = 0;
  for (const auto &[text, id] : ids) {
    const size_t left = lastJoin.find(text);
    // A single character need not be a token; a pair with one cannot be written as a merge.
    if (left == 0 || !ids.contains(text.substr(0, left)) || !ids.contains(text.substr(left)))
      continue;
    merges.push_back({vocabulary.scores[size_t(id)], id, left});
    bytes += text.size() + 9;
  }
  std::sort(merges.begin(), merges.end(),
            [](const Merge &a, const Merge &b) { return a.score != b.score ? a.score > b.score : a.id < b.id; });
  std::string out;
  out.reserve(bytes);
  for (const Merge &merge : merges) {
    const std::string_view text = vocabulary.tokens[size_t(merge.id)];
    out += out.empty() ? "[" : ",\n[";
    appendJsonString(out, text.substr(0, merge.left));
    out += ',';
    appendJsonString(out, text.substr(merge.left));
    out += ']';
  }
  return out;
}

} // namespace

TokenizerParts sentencePieceParts(const GgufVocabulary &vocabulary, const TokenIds &ids) {
  const size_t count = vocabulary.tokens.size();
  if (vocabulary.scores.size() != count)
    throw TokenizerImportError("tokenizer.ggml.scores: " + std::to_string(vocabulary.scores.size()) + " scores for " +
                               std::to_string(count) + " tokens; convert the model again");
  for (size_t id = 0; id < count; ++id)
    if (std::isnan(vocabulary.scores[id]))
      throw TokenizerImportError("tokenizer.ggml.scores: the score of token " + std::to_string(id) + " is not a number");
  const bool prefix = vocabulary.addSpacePrefix.value_or(true);
  TokenizerParts parts;
  const Json replace = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpace}};
  parts.normalizer = replace;
  if (prefix)
    parts.normalizer = {{"type", "Sequence"}, {"normalizers", {{{"type", "Prepend"}, {"prepend", kSpace}}, replace}}};
  Json decoders = {
      {{"type", "Replace"}, {"pattern", {{"String", kSpace}}}, {"content", " "}}, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (prefix)
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  parts.decoder = {{"type", "Sequence"}, {"decoders", decoders}};
  parts.settings = {{"unk_token", nullptr}, {"byte_fallback", true}, {"ignore_merges", false}};
  if (vocabulary.unknown >= 0 && size_t(vocabulary.unknown) < count)
    parts.settings["unk_token"] = vocabulary.tokens[size_t(vocabulary.unknown)];
  parts.merges = mergesByScore(vocabulary, ids);
  return parts;
}

} // namespace heddle
