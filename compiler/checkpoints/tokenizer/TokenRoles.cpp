//===- TokenRoles.cpp ------------------------------------------------------------------------------------------------===//
#include "compiler/checkpoints/tokenizer/TokenRoles.h"
#include <algorithm>
#include <array>

namespace heddle {
namespace {

constexpr std::string_view kStrikeOut = "</s>";

/// Texts of tokens that end a turn or a text.
constexpr auto kEnds = std::to_array<std::string_view>({
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
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
});

/// Texts of tokens that mark a place to fill in, a file or a repository.
constexpr auto kPlaces = std::to_array<std::string_view>({
    "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",       "<|code_prefix|>", "<|prefix|>",
    "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>",  "<SUF>", "▁<SUF>",       "<|code_suffix|>", "<|suffix|>",
    "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>",   "<MID>", "▁<MID>",       "<|code_middle|>", "<|middle|>",
    "<|fim_pad|>",    "<fim-pad>",    "<fim_pad>",    "<PAD>",           "[PAD]", "<|fim_repo|>", "<|repo_name|>",   "<fim-repo>",
    "<REPO>",         "<reponame>",   "<|file_sep|>",
});

/// Whether a text looks as if it was never meant to be read: "<|sep|>", "[SEP]".
bool isTag(std::string_view text) {
  return text.size() > 2 && ((text.front() == '<' && text.back() == '>') || (text.front() == '[' && text.back() == ']'));
}

} // namespace

TokenRoles tokenRoles(const GgufVocabulary &vocabulary) {
  const size_t count = vocabulary.tokens.size();
  const auto has = [&](std::string_view text) { return std::ranges::find(vocabulary.tokens, text) != vocabulary.tokens.end(); };
  // In the "harmony" format and Solar's, "<|end|>" ends one of several messages of an answer.
  const bool endGoesOn =
      has("<|end|>") && ((has("<|return|>") && has("<|call|>")) || ((has("<|call|>") || has("<|calls|>")) && has("<|flush|>")));
  std::vector<bool> named(count);
  const auto name = [&](int64_t id) {
    if (id >= 0 && size_t(id) < count)
      named[size_t(id)] = true;
  };
  name(vocabulary.eos);
  for (const int64_t id : vocabulary.otherEnds)
    name(id);
  const bool namesNone = std::ranges::find(named, true) == named.end();

  TokenRoles out;
  out.roles.reserve(count);
  for (size_t id = 0; id < count; ++id) {
    const std::string_view text = vocabulary.tokens[id];
    const int32_t type = id < vocabulary.types.size() ? vocabulary.types[id] : kNormal;
    const bool control = type == kControl || type == kUnknown;
    bool ends = named[id] || (std::ranges::find(kEnds, text) != kEnds.end() && !(endGoesOn && text == "<|end|>"));
    TokenRole role = type == kUserDefined ? TokenRole::UserDefined : TokenRole::Piece;
    if (text == kStrikeOut) {
      ends |= type == kControl || (vocabulary.types.empty() && namesNone);
      role = ends || control ? TokenRole::Control : TokenRole::Tag;
    } else if (control || std::ranges::find(kEnds, text) != kEnds.end() || std::ranges::find(kPlaces, text) != kPlaces.end() ||
               ((named[id] || int64_t(id) == vocabulary.bos) && isTag(text))) {
      role = TokenRole::Control;
    }
    out.roles.push_back(role);
    if (ends)
      out.ends.push_back(int64_t(id));
  }
  return out;
}

std::vector<int64_t> endsOfText(const GgufVocabulary &vocabulary) { return tokenRoles(vocabulary).ends; }

} // namespace heddle
