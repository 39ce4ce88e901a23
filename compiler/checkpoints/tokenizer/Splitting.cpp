//===- Splitting.cpp - how byte-level BPE models cut text into words -------------------------------------------------===//
//
// The names and what they mean are llama.cpp's, so that ids agree with it; where it departs from the model's own tokenizer.json
// (upper and lower case in "tekken" and "gpt-4o", the row of digits in "afmoe" and "tiny_aya") so does this table. Oniguruma's
// syntax.
//
//===----------------------------------------------------------------------------------------------------------------===//
#include "compiler/checkpoints/tokenizer/Splitting.h"
#include <algorithm>

namespace heddle {
namespace {

// Parts that many patterns share. Contractions of either case:
#define HEDDLE_CONTRACTIONS R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))"
// White space, of which the last character goes to the word that follows.
#define HEDDLE_SPACES R"(\s+(?!\S)|\s+)"
// What Llama 3 and its descendants do after letters and digits.
#define HEDDLE_REST R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|)" HEDDLE_SPACES
#define HEDDLE_REST_SLASH R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|)" HEDDLE_SPACES
// A word, with one character before it that is neither letter, digit nor line break.
#define HEDDLE_BEFORE R"([^\r\n\p{L}\p{N}]?)"
#define HEDDLE_WORD HEDDLE_BEFORE R"(\p{L}+)"
// Letters that are not lower-case ASCII, and letters that are not upper-case ASCII; with marks too.
#define HEDDLE_UPPER R"((?:(?=\p{L})[^a-z]))"
#define HEDDLE_LOWER R"((?:(?=\p{L})[^A-Z]))"
#define HEDDLE_UPPER_MARK R"((?:(?=[\p{L}\p{M}])[^a-z]))"
#define HEDDLE_LOWER_MARK R"((?:(?=[\p{L}\p{M}])[^A-Z]))"
// Han, and Japanese syllables.
#define HEDDLE_HAN_KANA R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)"
#define HEDDLE_ASCII_SYMBOL_WORD R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"
#define HEDDLE_MARKED_WORD R"([^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"

// Words with the space before them, as GPT-2 cuts them.
constexpr const char *kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|)" HEDDLE_SPACES;
constexpr const char *kLlama3 = HEDDLE_CONTRACTIONS "|" HEDDLE_WORD R"(|\p{N}{1,3})" HEDDLE_REST;
constexpr const char *kQwen2 = HEDDLE_CONTRACTIONS "|" HEDDLE_WORD R"(|\p{N})" HEDDLE_REST;
constexpr const char *kQwen35 =
    HEDDLE_CONTRACTIONS "|" HEDDLE_BEFORE R"([\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|)" HEDDLE_SPACES;
constexpr const char *kTekken =
    HEDDLE_BEFORE HEDDLE_UPPER "*" HEDDLE_LOWER "+|" HEDDLE_BEFORE HEDDLE_UPPER "+" HEDDLE_LOWER R"(*|\p{N})" HEDDLE_REST_SLASH;
constexpr const char *kGpt4o =
    HEDDLE_BEFORE HEDDLE_UPPER "*" HEDDLE_LOWER "+" HEDDLE_CONTRACTIONS "?|" HEDDLE_BEFORE HEDDLE_UPPER "+" HEDDLE_LOWER
                               "*" HEDDLE_CONTRACTIONS R"(?|\p{N}{1,3})" HEDDLE_REST_SLASH;
constexpr const char *kGpt4oMarks =
    HEDDLE_BEFORE HEDDLE_UPPER_MARK "*" HEDDLE_LOWER_MARK "+" HEDDLE_CONTRACTIONS "?|" HEDDLE_BEFORE HEDDLE_UPPER_MARK
                                    "+" HEDDLE_LOWER_MARK "*" HEDDLE_CONTRACTIONS R"(?|\p{N}{1,3})" HEDDLE_REST_SLASH;
// Letters and marks in one row, upper or lower.
constexpr const char *kYoutu = HEDDLE_BEFORE R"([\p{L}\p{M}]+)" HEDDLE_CONTRACTIONS R"(?|\p{N})" HEDDLE_REST_SLASH;
constexpr const char *kTinyAya = HEDDLE_BEFORE R"([\p{L}\p{M}]+)" HEDDLE_CONTRACTIONS R"(?|\p{N}{1,3})" HEDDLE_REST_SLASH;
constexpr const char *kDeepseek3 =
    HEDDLE_ASCII_SYMBOL_WORD "|" HEDDLE_MARKED_WORD R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|)" HEDDLE_SPACES;
constexpr const char *kSpark = HEDDLE_ASCII_SYMBOL_WORD "|" HEDDLE_MARKED_WORD R"(| ?[\p{P}\p{S}]+|[\r\n]|)" HEDDLE_SPACES;
// Letters that have a case, as Unicode 10 knew them, without those for mathematics.
constexpr const char *kDeepseekLetters =
    R"(\s?[[\p{Lu}\p{Ll}\p{Lt}]&&[^\x{560}\x{588}\x{10C7}\x{10CD}\x{10D0}-\x{10FF}\x{1C80}-\x{1C8F}\x{2D00}-\x{2D2F})"
    R"(\x{A790}-\x{A7FF}\x{AB30}-\x{AB6F}\x{10570}-\x{105BF}\x{10D50}-\x{10D85}\x{16E40}-\x{16EDF}\x{1D400}-\x{1DFFF}]]+)";
constexpr const char *kDeepseekPunctuation =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3001}-\x{3002}]+)";
// Everything from Samaritan to Han and the Korean syllables, white space apart.
constexpr const char *kDeepseekAsian = R"([[\x{800}-\x{9FA5}\x{AC00}-\x{D7FF}]&&[^\s]]+)";
constexpr const char *kBloom = R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";
constexpr const char *kKimi = R"([\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2EBEF}\x{F900}-\x{FAFF})"
                              R"(\x{2F800}-\x{2FA1F}]+|)" HEDDLE_BEFORE
                              R"([\p{L}&&[^\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2EBEF})"
                              R"(\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}]]+)" HEDDLE_CONTRACTIONS R"(?|\p{N}{1,3})" HEDDLE_REST;
// Scripts of South-East Asia that write without spaces, Kana, and all from Han to its compatibility forms: llama.cpp's range for
// those begins at the ordinary U+8C48 that the first of them (U+F900) stands for.
constexpr const char *kAfmoeAsian =
    R"([\x{E40}-\x{EFF}\x{1000}-\x{109F}\x{1100}-\x{11FF}\x{1780}-\x{17FF}\x{2F00}-\x{2FDF}\x{3040}-\x{30FF}\x{3400}-\x{4DBF})"
    R"(\x{4E00}-\x{FAFF}\x{FF65}-\x{FF9F}]+)";
constexpr const char *kYoutuAsian =
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+)"
    R"(|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+)"
    R"(|[\x{3105}-\x{312F}]+|)" HEDDLE_HAN_KANA;
constexpr const char *kBailing =
    R"('(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|)" HEDDLE_WORD R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|)" HEDDLE_SPACES;
constexpr const char *kSeedCoder =
    HEDDLE_CONTRACTIONS "|" HEDDLE_WORD R"(|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|)" HEDDLE_SPACES;
constexpr const char *kExaoneMoe = HEDDLE_CONTRACTIONS "|" HEDDLE_BEFORE R"((?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+)"
                                                       R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|)" HEDDLE_SPACES;
// White space in rows whose lengths are powers of two.
constexpr const char *kJais2 =
    HEDDLE_CONTRACTIONS "|" HEDDLE_WORD R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S))"
                        R"(|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s)";
constexpr const char *kMiniCpm5 = HEDDLE_CONTRACTIONS "|" HEDDLE_WORD R"(|\p{N}+)" HEDDLE_REST;
constexpr const char *kUfakzeka = HEDDLE_WORD R"(|\p{N})" HEDDLE_REST; // Turkish suffixes stay with their apostrophe
constexpr const char *kLines = R"(\n+)";

struct Entry {
  std::vector<std::string_view> names;
  Splitting splitting;
};

const std::vector<Entry> &table() {
  static const std::vector<Entry> entries = {
      {{"default", ""}, {{R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}}},
      {{"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "exaone4", "gigachat", "granite-docling", "mellum", "a.x-4.0",
        "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe"},
       {{kGpt2}}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"}, {{R"(\p{N})", kGpt2}}},
      {{"falcon"}, {{R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, "[0-9][0-9][0-9]"}}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
       {.cuts = {kLlama3}, .wholeWords = true, .addsBos = true}},
      {{"dbrx", "smaug-bpe", "chatglm-bpe"}, {{kLlama3}}},
      {{"glm4", "glm5"}, {.cuts = {kLlama3}, .wholeWords = true}},
      {{"jais-2"}, {{kJais2}}},
      {{"minicpm5"}, {.cuts = {R"(\p{N}{1,3})", kMiniCpm5}, .wholeWords = true}},
      {{"qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "kormo", "solar-open", "grok-2", "f2llmv2"}, {{kQwen2}}},
      {{"qwen35"}, {{kQwen35}}},
      {{"ufakzeka"}, {{kUfakzeka}}},
      {{"laguna"}, {{kLines, kQwen2}}},
      {{"seed-coder"}, {{kSeedCoder}}},
      {{"bailingmoe", "bailingmoe2", "llada-moe"}, {{kBailing}}},
      {{"exaone-moe"}, {{kExaoneMoe}}},
      {{"tekken"}, {.cuts = {kTekken}, .wholeWords = true, .addsBos = true}},
      {{"gpt-4o", "llama4", "kanana2", "minimax-m2", "talkie"}, {{kGpt4o}}},
      {{"granite-embed-multi-97m"}, {.cuts = {kGpt4oMarks}, .wholeWords = true}},
      {{"youtu"}, {.cuts = {kYoutuAsian, kYoutu}, .wholeWords = true}},
      {{"tiny_aya", "cohere2moe"}, {{Cut::AllDigits, kTinyAya}}},
      {{"afmoe"}, {{Cut::AllDigits, kAfmoeAsian, kDeepseek3}}},
      {{"superbpe"}, {{R"(\p{N}+)", Cut::AsciiDigits}}},
      {{"kimi-k2"}, {{kKimi}}},
      {{"deepseek-llm"},
       {{R"([\r\n])", kDeepseekLetters, kDeepseekPunctuation, R"((?<!\s)\s++\z)", kDeepseekAsian, R"(\p{N}+)"}}},
      {{"deepseek-coder"}, {{R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekAsian, R"(\p{N})"}}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, {{R"(\p{N}{1,3})", HEDDLE_HAN_KANA, kDeepseek3}}},
      {{"spark2_5"}, {{R"(\p{N}{1,3})", HEDDLE_HAN_KANA, kSpark, R"(\p{N})"}}},
      {{"poro-chat", "bloom", "gpt3-finnish"}, {{kBloom}}},
      {{"viking"}, {{kBloom, R"(\p{N})"}}},
      {{"chameleon"},
       {.cuts = {"<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", R"([\t\n]|    |  )", R"(\p{N})", R"([\p{P}!-/:-@\[-`{-~])", kGpt2},
        .addsBos = true}},
      {{"gemma4", "granite-embed-multi-311m"}, {.cuts = {kLines}, .rawText = true, .marksSpaces = true, .lineBreaks = true}},
      {{"sarvam-moe"}, {.cuts = {kLines}, .rawText = true, .marksSpaces = true}},
      {{"whitespace"}, {.cuts = {R"(\S+)"}, .rawText = true}},
  };
  return entries;
}

} // namespace

const Splitting *findSplitting(std::string_view pre) {
  for (const Entry &entry : table())
    if (std::find(entry.names.begin(), entry.names.end(), pre) != entry.names.end())
      return &entry.splitting;
  return nullptr;
}

std::string splittingNames() {
  std::string names;
  for (const Entry &entry : table())
    for (const std::string_view name : entry.names)
      if (!name.empty())
        names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

} // namespace heddle
