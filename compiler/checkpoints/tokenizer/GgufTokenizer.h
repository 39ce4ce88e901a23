//===- GgufTokenizer.h - the vocabulary of a GGUF file as a Hugging Face tokenizer -----------------------------------===//
#pragma once
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace heddle {

class GgufFile;

/// A vocabulary that cannot be used. The message is one line.
struct TokenizerImportError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What a GGUF file says about its tokenizer; the key of each field stands beside it. Ids are -1 where there is none.
struct GgufVocabulary {
  std::string model;                  // tokenizer.ggml.model: "gpt2" (byte-level BPE), "gemma4" (BPE of text), "llama"
                                      // (SentencePiece's BPE), "t5" (its unigrams) or "bert" (WordPiece)
  std::string pre;                    // tokenizer.ggml.pre: how text is cut into words; only "gpt2" looks at it
  std::vector<std::string> tokens;    // tokenizer.ggml.tokens
  std::vector<float> scores;          // tokenizer.ggml.scores; "llama" and "t5" only
  std::vector<int32_t> types;         // tokenizer.ggml.token_type, of GgufTokenType; empty: unknown
  std::vector<std::string> merges;    // tokenizer.ggml.merges, "a b" each; "gpt2" and "gemma4" only
  int64_t bos = -1;                   // tokenizer.ggml.bos_token_id
  int64_t eos = -1;                   // tokenizer.ggml.eos_token_id
  int64_t first = -1, separator = -1; // …cls_token_id, …seperator_token_id (so spelt): "bert" begins and ends texts with them
  std::vector<int64_t> otherEnds;     // …eot_token_id, …eom_token_id and those of the list …eos_token_ids
  int64_t unknown = -1;               // tokenizer.ggml.unknown_token_id
  std::optional<bool> addSpacePrefix; // tokenizer.ggml.add_space_prefix; absent: the model's default
  bool shrinkSpaces = false;          // tokenizer.ggml.remove_extra_whitespaces; "t5" only
  std::vector<uint8_t> spellings;     // tokenizer.ggml.precompiled_charsmap; "t5" only, empty: none
  std::optional<bool> addBos;         // tokenizer.ggml.add_bos_token; absent: the model's default
  bool lowercase = true;              // tokenizer.ggml.normalizer.lowercase; "bert" only
  std::optional<bool> stripAccents;   // tokenizer.ggml.normalizer.strip_accents; absent: as lowercase
};

enum GgufTokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

/// What the file says, with defaults filled in as llama.cpp does: the unknown token, the prefix space, and whether a prompt
/// begins with BOS. A file that names no BOS or EOS has none. Throws GgufError, and TokenizerImportError for ids outside of the
/// vocabulary.
GgufVocabulary readVocabulary(const GgufFile &file);
void applyTokenizerDefaults(GgufVocabulary &vocabulary);

/// A tokenizer.json (with the additions of third_party/text) whose ids equal llama.cpp's. Throws TokenizerImportError for what
/// cannot be said in one: an unknown model or pre-tokenizer (named), lists of different lengths, tokens that are not UTF-8,
/// broken merges.
std::string buildTokenizerJson(const GgufVocabulary &vocabulary);

/// The ids that end a text, in order (TokenRoles.h has the rule).
std::vector<int64_t> endsOfText(const GgufVocabulary &vocabulary);

} // namespace heddle
