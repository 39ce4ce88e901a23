//===- GgufTokenizerTest.cpp - what is refused, what is filled in ----------------------------------------------------===//
#include "compiler/checkpoints/tokenizer/Splitting.h"
#include "tests/unit/text/Vocabularies.h"
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace heddle;

namespace {

std::string errorOf(GgufVocabulary vocabulary, const std::function<void(GgufVocabulary &)> &spoil) {
  spoil(vocabulary);
  try {
    buildTokenizerJson(vocabulary);
  } catch (const TokenizerImportError &error) {
    return error.what();
  }
  return "no error";
}

/// The same for texts that are written as they are: bytes are <0x00> to <0xFF>.
GgufVocabulary withByteTokens(GgufVocabulary vocabulary) {
  const GgufVocabulary pieces = tinySentencePiece(false);
  for (size_t id = 4; id < 260; ++id) {
    vocabulary.tokens.push_back(pieces.tokens[id]);
    vocabulary.types.push_back(kByte);
  }
  vocabulary.tokens.emplace_back("▁");
  vocabulary.types.push_back(kNormal);
  return vocabulary;
}

TEST(GgufTokenizer, RefusesWithOneLineNamingTheKey) {
  const GgufVocabulary bytes = tinyByteLevel(), pieces = tinySentencePiece(true);
  EXPECT_EQ(errorOf(bytes, [](auto &v) { v.model = "rwkv"; }),
            "tokenizer.ggml.model: unknown tokenizer 'rwkv'; known are gpt2, gemma4, llama, t5, bert");
  EXPECT_EQ(errorOf(bytes, [](auto &v) { v.pre = "newest"; }).substr(0, 61),
            "tokenizer.ggml.pre: unknown pre-tokenizer 'newest'; known are");
  EXPECT_EQ(errorOf(bytes, [](auto &v) { v.tokens.clear(); }).substr(0, 47), "tokenizer.ggml.tokens: the vocabulary is empty;");
  EXPECT_EQ(errorOf(bytes, [](auto &v) { v.types.pop_back(); }).substr(0, 58),
            "tokenizer.ggml.token_type: 261 types for 262 tokens; conve");
  EXPECT_EQ(errorOf(bytes, [](auto &v) { v.tokens[5] = "a\xFF"; }),
            "tokenizer.ggml.tokens: token 5 is not valid UTF-8 at byte 1");
  EXPECT_EQ(errorOf(bytes, [](auto &v) { v.merges.clear(); }).substr(0, 31), "tokenizer.ggml.merges: missing,");
  EXPECT_EQ(errorOf(bytes, [](auto &v) { v.merges[2] = "hell"; }).substr(0, 45), "tokenizer.ggml.merges: merge 2 is not two tok");
  EXPECT_EQ(errorOf(bytes, [](auto &v) { v.merges[2] = "he xyz"; }).substr(0, 45),
            "tokenizer.ggml.merges: merge 2 names a token ");
  EXPECT_EQ(errorOf(pieces, [](auto &v) { v.scores.clear(); }).substr(0, 43), "tokenizer.ggml.scores: 0 scores for 273 tok");
  EXPECT_EQ(errorOf(pieces, [](auto &v) { v.scores[7] = NAN; }), "tokenizer.ggml.scores: the score of token 7 is not a number");
}

TEST(GgufTokenizer, OddVocabulariesStillWork) {
  GgufVocabulary vocabulary = tinySentencePiece(false);
  vocabulary.tokens[260 + 5] = "";   // gets a name of its own
  vocabulary.tokens.push_back("ab"); // twice: the last one wins
  vocabulary.scores.push_back(-3);
  vocabulary.types.push_back(kNormal);
  const auto tokenizer = tokenizerOf(vocabulary);
  EXPECT_EQ(tokenizer->vocabularySize(), 274);
  EXPECT_EQ(tokenizer->encode("ab", false), std::vector<int32_t>{273});
}

// Of tokens with one text the last is written, and all can be read.
TEST(GgufTokenizer, TokensWithOneTextAreAllPrinted) {
  GgufVocabulary pieces = tinySentencePiece(false), bytes = tinyByteLevel();
  const auto add = [](GgufVocabulary &vocabulary, const char *text, int32_t type) {
    vocabulary.tokens.emplace_back(text);
    vocabulary.types.push_back(type);
    if (vocabulary.model == "llama")
      vocabulary.scores.push_back(-3);
  };
  for (GgufVocabulary *vocabulary : {&pieces, &bytes}) {
    add(*vocabulary, "ab", kNormal);
    add(*vocabulary, "<tool>", kUserDefined);
    add(*vocabulary, "<tool>", kUserDefined);
    add(*vocabulary, "<|end|>", kControl);
    const int32_t end = int32_t(vocabulary->tokens.size());
    const int32_t first = vocabulary == &pieces ? 266 : 261;
    const auto tokenizer = tokenizerOf(*vocabulary);
    EXPECT_EQ(tokenizer->vocabularySize(), end);
    EXPECT_EQ(tokenizer->decode(std::vector{first, end - 4, end - 3, end - 2, end - 1}, true), "abab<tool><tool>");
    EXPECT_EQ(tokenizer->tokenText(first), "ab");
    EXPECT_EQ(tokenizer->tokenText(end - 1), "<|end|>");
    EXPECT_TRUE(tokenizer->isHidden(end - 1));
    EXPECT_EQ(tokenizer->encode("ab", false), std::vector{end - 4});
    EXPECT_EQ(tokenizer->encode("<tool>", false), std::vector{end - 2});
    EXPECT_EQ(tokenizer->encode("<|end|>", true), std::vector{end - 1});
  }
  EXPECT_EQ(tokenizerOf(bytes)->decode(std::vector{0}, false), "<|end|>");
  EXPECT_TRUE(tokenizerOf(bytes)->isHidden(0));
}

// No text becomes a control token by joining its letters.
TEST(GgufTokenizer, NoPlainTextBecomesAControlToken) {
  GgufVocabulary pieces = tinySentencePiece(false);
  pieces.types[268] = kControl; // "abc"
  EXPECT_EQ(tokenizerOf(pieces)->encode("abc", false), (std::vector<int32_t>{261, 267}));
  EXPECT_EQ(tokenizerOf(pieces)->encode("abc", true), (std::vector<int32_t>{268}));
  GgufVocabulary bytes = tinyByteLevel();
  bytes.types[259] = kControl;                     // "hello"
  for (const char *pre : {"gpt-2", "llama-bpe"}) { // the second takes whole words
    bytes.pre = pre;
    EXPECT_EQ(tokenizerOf(bytes)->encode("hello", false).size(), 2u);
    EXPECT_EQ(tokenizerOf(bytes)->encode("hello", true), (std::vector<int32_t>{259}));
  }
}

TEST(GgufTokenizer, Defaults) {
  GgufVocabulary vocabulary = tinySentencePiece(true);
  vocabulary.addSpacePrefix.reset();
  vocabulary.unknown = -1;
  vocabulary.bos = -1;
  vocabulary.eos = 1 << 20; // outside
  applyTokenizerDefaults(vocabulary);
  EXPECT_EQ(vocabulary.bos, -1); // the file names none
  EXPECT_EQ(vocabulary.eos, -1);
  EXPECT_EQ(vocabulary.unknown, 0); // the token of that type
  EXPECT_TRUE(*vocabulary.addSpacePrefix);
  EXPECT_TRUE(*vocabulary.addBos);

  vocabulary = tinyByteLevel();
  applyTokenizerDefaults(vocabulary);
  EXPECT_EQ(vocabulary.bos, -1);
  EXPECT_EQ(vocabulary.eos, -1);
  EXPECT_EQ(vocabulary.unknown, -1);
  EXPECT_FALSE(*vocabulary.addBos);
  EXPECT_FALSE(*vocabulary.addSpacePrefix);

  vocabulary = tinyByteLevel();
  vocabulary.pre = "llama-bpe";
  applyTokenizerDefaults(vocabulary);
  EXPECT_TRUE(*vocabulary.addBos);
}

// Every splitting that can be named makes a tokenizer that loads and loses nothing.
TEST(GgufTokenizer, EverySplittingLoads) {
  std::string names = splittingNames() + ", ";
  int count = 0;
  for (size_t at = 0, end; (end = names.find(", ", at)) != std::string::npos; at = end + 2, ++count) {
    GgufVocabulary vocabulary = tinyByteLevel();
    vocabulary.pre = names.substr(at, end - at);
    if (findSplitting(vocabulary.pre)->rawText)
      vocabulary = withByteTokens(vocabulary);
    const auto tokenizer = tokenizerOf(vocabulary);
    const std::string text = "Hello, WORLD's 12345 漢字\r\n\n  end  ";
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, false), true), text) << vocabulary.pre;
  }
  EXPECT_EQ(count, 91);
}

} // namespace
