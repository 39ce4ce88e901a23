//===- GgufTokenizerTest.cpp - what is refused, what is filled in ----------------------------------------------------===//
#include "compiler/importers/tokenizer/Splitting.h"
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

TEST(GgufTokenizer, RefusesWithOneLineNamingTheKey) {
  const GgufVocabulary bytes = tinyByteLevel(), pieces = tinySentencePiece(true);
  EXPECT_EQ(errorOf(bytes, [](auto &v) { v.model = "rwkv"; }),
            "tokenizer.ggml.model: unknown tokenizer 'rwkv'; known are gpt2, llama");
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

TEST(GgufTokenizer, OneMergePerTokenInOrderOfScore) {
  const auto json = nlohmann::json::parse(buildTokenizerJson(tinySentencePiece(false)));
  EXPECT_EQ(json.at("model").at("merges").dump(),
            R"([["b","c"],["a","b"],["a","bc"],["▁","hi"],["h","i"],["a","a"],["aa","a"]])");
}

TEST(GgufTokenizer, Defaults) {
  GgufVocabulary vocabulary = tinySentencePiece(true);
  vocabulary.addSpacePrefix.reset();
  vocabulary.eos = 1 << 20; // outside
  applyTokenizerDefaults(vocabulary);
  EXPECT_EQ(vocabulary.bos, 1);
  EXPECT_EQ(vocabulary.eos, 2);
  EXPECT_EQ(vocabulary.unknown, 0);
  EXPECT_TRUE(*vocabulary.addSpacePrefix);
  EXPECT_TRUE(*vocabulary.addBos);

  vocabulary = tinyByteLevel();
  vocabulary.eos = 0;
  applyTokenizerDefaults(vocabulary);
  EXPECT_EQ(vocabulary.eos, 0);
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
    const auto tokenizer = tokenizerOf(vocabulary);
    const std::string text = "Hello, WORLD's 12345 漢字\r\n\n  end  ";
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, false), true), text) << vocabulary.pre;
  }
  EXPECT_GT(count, 30);
}

} // namespace
