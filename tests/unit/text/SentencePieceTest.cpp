//===- SentencePieceTest.cpp - SentencePiece's joins against the plainest way to make them ---------------------------===//
#include "tests/unit/text/Vocabularies.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace heddle;
using Ids = std::vector<int32_t>;

namespace {

GgufVocabulary emptyPieces() {
  GgufVocabulary vocabulary = tinySentencePiece(false);
  vocabulary.tokens.resize(260); // special tokens and bytes
  vocabulary.scores.resize(260);
  vocabulary.types.resize(260);
  return vocabulary;
}

void add(GgufVocabulary &vocabulary, const std::string &text, float score, int32_t type = kNormal) {
  vocabulary.tokens.push_back(text);
  vocabulary.scores.push_back(score);
  vocabulary.types.push_back(type);
}

/// The rule in its own words: of all neighbours whose text is a token join the best, the leftmost of equals; then bytes.
Ids joined(const GgufVocabulary &vocabulary, const std::string &text) {
  std::vector<std::string> parts;
  for (const char c : text)
    if ((c & 0xC0) != 0x80)
      parts.emplace_back(1, c);
    else
      parts.back() += c;
  const auto find = [&](const std::string &part) {
    for (size_t id = vocabulary.tokens.size(); id-- > 260;)
      if (vocabulary.tokens[id] == part && vocabulary.types[id] != kControl)
        return int32_t(id);
    return -1;
  };
  for (;;) {
    size_t best = parts.size();
    float score = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const int32_t id = find(parts[i] + parts[i + 1]);
      if (id >= 0 && (best == parts.size() || vocabulary.scores[size_t(id)] > score))
        best = i, score = vocabulary.scores[size_t(id)];
    }
    if (best == parts.size())
      break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + int64_t(best) + 1);
  }
  Ids ids;
  for (const std::string &part : parts) {
    if (const int32_t id = find(part); id >= 0)
      ids.push_back(id);
    else
      for (const char byte : part)
        ids.push_back(4 + uint8_t(byte));
  }
  return ids;
}

// Llama 2, Mistral and Phi-3: all runs of spaces have one score, and four spaces are one token wherever they stand.
TEST(SentencePieceJoins, EqualScoresAreJoinedFromTheLeft) {
  GgufVocabulary vocabulary = emptyPieces();
  for (int spaces = 2; spaces <= 16; ++spaces) {
    std::string text;
    for (int i = 0; i < spaces; ++i)
      text += "▁";
    add(vocabulary, text, -1e9f);
  }
  const auto token = [](int spaces) { return 260 + spaces - 2; };
  add(vocabulary, "▁", -1e9f);
  const auto tokenizer = tokenizerOf(vocabulary);
  for (int spaces = 2; spaces <= 16; ++spaces)
    EXPECT_EQ(tokenizer->encode(std::string(size_t(spaces), ' '), false), Ids{token(spaces)}) << spaces;
  EXPECT_EQ(tokenizer->encode(std::string(35, ' '), false), (Ids{token(16), token(16), token(3)}));
}

TEST(SentencePieceJoins, AgreeWithThePlainestWayOnHostileVocabularies) {
  std::mt19937 random(7);
  const std::vector<std::string> letters = {"a", "b", "c", "é", "▁", "漢", "😀"};
  for (int trial = 0; trial < 400; ++trial) {
    GgufVocabulary vocabulary = emptyPieces();
    const int distinct = 1 + int(random() % 4); // few scores, so that many are equal
    for (unsigned n = random() % 60; n > 0; --n) {
      std::string text;
      for (unsigned size = 1 + random() % (trial % 3 ? 4 : 9); size > 0; --size)
        text += letters[random() % (trial % 2 ? 3 : letters.size())];
      const float scores[] = {-1e9f, 0.0f, -0.0f, 3.5f, std::numeric_limits<float>::infinity(), -1e-40f};
      add(vocabulary, text, distinct == 4 ? float(int(random() % 7)) - 3 : scores[random() % (1 + unsigned(distinct))],
          random() % 12 ? kNormal : kControl);
    }
    const auto tokenizer = tokenizerOf(vocabulary);
    for (int texts = 0; texts < 20; ++texts) {
      std::string text;
      for (unsigned size = random() % 30; size > 0; --size)
        text += letters[random() % letters.size()];
      ASSERT_EQ(tokenizer->encode(text, false), joined(vocabulary, text)) << text << " in trial " << trial;
    }
  }
}

// A character of which a byte token is missing is the unknown token.
TEST(SentencePieceJoins, WithoutByteTokensCharactersAreUnknown) {
  GgufVocabulary vocabulary = emptyPieces();
  vocabulary.tokens[4 + 0xA9] = "other";
  add(vocabulary, "a", -1);
  EXPECT_EQ(tokenizerOf(vocabulary)->encode("aéa", false), (Ids{260, 0, 260}));
  vocabulary.unknown = -1;
  EXPECT_EQ(tokenizerOf(vocabulary)->encode("aéa", false), (Ids{260, 260}));
}

TEST(WordPiece, CutsWordsIntoTheLongestTokens) {
  GgufVocabulary vocabulary;
  vocabulary.model = "bert";
  vocabulary.unknown = 0;
  vocabulary.tokens = {"[UNK]", "▁hello", "▁he", "llo", "▁,", "s", "▁漢"};
  vocabulary.types = {kUnknown, kNormal, kNormal, kNormal, kNormal, kNormal, kNormal};
  auto tokenizer = tokenizerOf(vocabulary);
  EXPECT_EQ(tokenizer->encode("Hello,  HELLOS hexllo 漢漢\thé", false), (Ids{1, 4, 1, 5, 0, 6, 6, 2}));
  EXPECT_EQ(tokenizer->decode(Ids{1, 4, 1, 5}, true), "hello , hellos");
  vocabulary.lowercase = false;
  tokenizer = tokenizerOf(vocabulary);
  EXPECT_EQ(tokenizer->encode("Hello hello", false), (Ids{0, 1}));
}

// Gemma 4's kind: BPE of the text itself, spaces marked, rows of line breaks that are a token taken whole.
TEST(MergesOfText, AreMadeOfLines) {
  GgufVocabulary vocabulary;
  vocabulary.model = "gemma4";
  vocabulary.tokens = {"▁", "a", "b", "▁a", "ab", "\n", "\n\n", "\n\n\n", "<0xC3>", "<0xA9>"};
  vocabulary.types = {kNormal, kNormal, kNormal, kNormal, kNormal, kNormal, kNormal, kNormal, kByte, kByte};
  vocabulary.merges = {"a b", "▁ a", "\n \n"};
  const auto tokenizer = tokenizerOf(vocabulary);
  EXPECT_EQ(tokenizer->encode(" a ab", false), (Ids{3, 0, 4}));
  EXPECT_EQ(tokenizer->encode("a\n\n\nb\n\n\n\n", false), (Ids{1, 7, 2, 6, 6}));
  EXPECT_EQ(tokenizer->encode("é", false), (Ids{8, 9}));
  EXPECT_EQ(tokenizer->decode(Ids{3, 7, 8, 9}, true), " a\n\n\né");
}

// Splittings that count digits from the right, over the tokens "0" to "9" and their pairs and triples.
TEST(Splittings, DigitsAreGroupedFromTheRight) {
  GgufVocabulary vocabulary = tinyByteLevel();
  const auto idOf = [&](const std::string &text) {
    return int32_t(std::ranges::find(vocabulary.tokens, text) - vocabulary.tokens.begin());
  };
  for (const char *text : {"12", "123", "23", "234"}) {
    vocabulary.tokens.emplace_back(text);
    vocabulary.types.push_back(kNormal);
  }
  vocabulary.merges.insert(vocabulary.merges.end(), {"2 3", "23 4", "1 2", "1 23"});
  for (const char *pre : {"afmoe", "tiny_aya", "superbpe"}) {
    vocabulary.pre = pre;
    EXPECT_EQ(tokenizerOf(vocabulary)->encode("1234 123", false), (Ids{idOf("1"), idOf("234"), idOf("\u0120"), idOf("123")}))
        << pre;
    const auto many = tokenizerOf(vocabulary)->encode(std::string(200'000, '1'), false); // not in hours
    EXPECT_EQ(many.size(), 200'000u);
  }
}

} // namespace
