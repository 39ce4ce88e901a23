//===- Splitting.cpp - how byte-level BPE models cut text into words -------------------------------------------------===//
//
// The patterns are those that llama.cpp uses, so that ids agree with it; where it departs from the model's own
// tokenizer.json (upper and lower case in "tekken" and "gpt-4o") so does this table. Oniguruma's syntax.
//
//===----------------------------------------------------------------------------------------------------------------===//
#include "compiler/importers/tokenizer/Splitting.h"
#include <algorithm>

namespace heddle {
namespace {

// Words with the space before them, as GPT-2 cuts them.
constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Contractions of either case.
#define HEDDLE_CONTRACTIONS R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))"
// What Llama 3 and its descendants do after letters and digits.
#define HEDDLE_REST R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
#define HEDDLE_REST_SLASH R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
// Letters that are not lower-case ASCII, and letters that are not upper-case ASCII.
#define HEDDLE_UPPER R"((?:(?=\p{L})[^a-z]))"
#define HEDDLE_LOWER R"((?:(?=\p{L})[^A-Z]))"

constexpr std::string_view kLlama3 = HEDDLE_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})" HEDDLE_REST;
constexpr std::string_view kQwen2 = HEDDLE_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})" HEDDLE_REST;
constexpr std::string_view kQwen35 =
    HEDDLE_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken = R"([^\r\n\p{L}\p{N}]?)" HEDDLE_UPPER "*" HEDDLE_LOWER R"(+|[^\r\n\p{L}\p{N}]?)" HEDDLE_UPPER
                                     "+" HEDDLE_LOWER R"(*|\p{N})" HEDDLE_REST_SLASH;
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?)" HEDDLE_UPPER "*" HEDDLE_LOWER "+" HEDDLE_CONTRACTIONS R"(?|[^\r\n\p{L}\p{N}]?)" HEDDLE_UPPER
    "+" HEDDLE_LOWER "*" HEDDLE_CONTRACTIONS R"(?|\p{N}{1,3})" HEDDLE_REST_SLASH;
constexpr std::string_view kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"
    R"(|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Entry {
  std::vector<std::string_view> names;
  Splitting splitting;
};

const std::vector<Entry> &table() {
  static const std::vector<Entry> entries = {
      {{"default", ""}, {{R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}}},
      {{"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "exaone4", "gigachat", "granite-docling", "mellum", "a.x-4.0"},
       {{kGpt2}}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"}, {{R"(\p{N})", kGpt2}}},
      {{"falcon"}, {{R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, "[0-9][0-9][0-9]"}}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"}, {{kLlama3}, true, true}},
      {{"dbrx", "smaug-bpe", "chatglm-bpe"}, {{kLlama3}}},
      {{"glm4", "glm5"}, {{kLlama3}, true}},
      {{"qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "kormo", "solar-open", "grok-2"}, {{kQwen2}}},
      {{"qwen35"}, {{kQwen35}}},
      {{"tekken"}, {{kTekken}, true, true}},
      {{"gpt-4o", "llama4", "kanana2", "minimax-m2"}, {{kGpt4o}}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm"}, {{R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+", kDeepseek3}}},
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
