//===- UnigramTest.cpp - the best cut of a text, and how a text is spelt before it is cut ---------------------------===//
#include "tests/unit/text/Vocabularies.h"
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <random>

using namespace heddle;
using Ids = std::vector<int32_t>;

namespace {

void add(GgufVocabulary &vocabulary, const std::string &text, float score, int32_t type = kNormal) {
  vocabulary.tokens.push_back(text);
  vocabulary.scores.push_back(score);
  vocabulary.types.push_back(type);
}

/// <pad> 0, </s> 1, <unk> 2, as T5 has them.
GgufVocabulary unigrams() {
  GgufVocabulary vocabulary;
  vocabulary.model = "t5";
  add(vocabulary, "<pad>", 0, kControl);
  add(vocabulary, "</s>", 0, kControl);
  add(vocabulary, "<unk>", 0, kUnknown);
  vocabulary.eos = 1;
  vocabulary.unknown = 2;
  return vocabulary;
}

/// With "a" 3, "b" 4, "c" 5, "ab" 6, "bc" 7, "abc" 8, "▁" 9, "▁a" 10.
GgufVocabulary letters() {
  GgufVocabulary vocabulary = unigrams();
  const std::pair<const char *, float> entries[] = {{"a", -2},  {"b", -2},     {"c", -2}, {"ab", -3},
                                                    {"bc", -2}, {"abc", -4.5}, {"▁", -1}, {"▁a", -2.5}};
  for (const auto &[text, score] : entries)
    add(vocabulary, text, score);
  return vocabulary;
}

TEST(Unigram, TheBestSumWinsAndOfEqualOnesTheLongestLastToken) {
  GgufVocabulary vocabulary = letters();
  EXPECT_EQ(tokenizerOf(vocabulary)->encode("abc", false), (Ids{3, 7})); // -4, before abc's -4.5 and ab, c's -5
  vocabulary.scores[8] = -3.5;
  EXPECT_EQ(tokenizerOf(vocabulary)->encode("abc", false), Ids{8});
  vocabulary.scores[8] = -4; // as a, bc
  EXPECT_EQ(tokenizerOf(vocabulary)->encode("abc", false), Ids{8});
  EXPECT_EQ(tokenizerOf(vocabulary)->encode("", false), Ids{});
}

TEST(Unigram, CharactersWithoutATokenAreOneUnknownTokenOrBytes) {
  GgufVocabulary vocabulary = letters();
  EXPECT_EQ(tokenizerOf(vocabulary)->encode("aéжc中", false), (Ids{3, 2, 5, 2}));
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", unsigned(byte));
    add(vocabulary, text, 0, kByte);
  }
  const int32_t bytes = 11;
  const auto tokenizer = tokenizerOf(vocabulary);
  EXPECT_EQ(tokenizer->encode("aéc", false), (Ids{3, bytes + 0xC3, bytes + 0xA9, 5}));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("aéжc中", false), false), "aéжc中");
}

TEST(Unigram, WhatATextSaysIsNeverAControlToken) {
  const auto tokenizer = tokenizerOf(letters());
  EXPECT_EQ(tokenizer->encode("a</s>b", true), (Ids{3, 1, 4}));
  EXPECT_EQ(tokenizer->encode("a</s>b", false), (Ids{3, 2, 4}));
  EXPECT_EQ(tokenizer->encode("<unk>", false), Ids{2}); // five characters without a token
}

TEST(Unigram, SpacesShrinkAndOneStandsInFront) {
  GgufVocabulary vocabulary = letters();
  const auto ids = [&](bool prefix, bool shrink, const char *text) {
    vocabulary.addSpacePrefix = prefix;
    vocabulary.shrinkSpaces = shrink;
    return tokenizerOf(vocabulary)->encode(text, false);
  };
  EXPECT_EQ(ids(true, true, "  a   b  "), (Ids{10, 9, 4}));
  EXPECT_EQ(ids(true, true, "   "), Ids{});
  EXPECT_EQ(ids(true, false, " a"), (Ids{9, 10}));
  EXPECT_EQ(ids(false, true, "  a   b  "), (Ids{3, 9, 4}));
  EXPECT_EQ(ids(false, false, "a b "), (Ids{3, 9, 4, 9}));
  vocabulary.addSpacePrefix = true;
  vocabulary.shrinkSpaces = true;
  EXPECT_EQ(tokenizerOf(vocabulary)->decode(Ids{9, 10, 9, 4}, false), "a b");
  EXPECT_EQ(tokenizerOf(vocabulary)->tokenText(10), " a");
}

/// A table of one-letter spellings, as SentencePiece compiles them: a trie in a double array, then the spellings.
std::vector<uint8_t> tableOf(const std::map<char, std::string> &spellings) {
  std::vector<uint32_t> units(0x1000, 0x80000000); // of a label that no byte is
  constexpr uint32_t root = 0x100;
  units[0] = root << 10;
  std::string texts;
  for (const auto &[letter, spelling] : spellings) {
    const auto label = static_cast<uint32_t>(letter);
    constexpr uint32_t leaf = 0x400;
    units[root ^ label] = leaf << 10 | 1 << 8 | label;
    units[root ^ label ^ leaf] = 0x80000000 | static_cast<uint32_t>(texts.size());
    texts += spelling + '\0';
  }
  std::vector<uint8_t> bytes;
  const auto word = [&](uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8)
      bytes.push_back(static_cast<uint8_t>(value >> shift));
  };
  word(static_cast<uint32_t>(units.size() * 4));
  for (const uint32_t unit : units)
    word(unit);
  bytes.insert(bytes.end(), texts.begin(), texts.end());
  return bytes;
}

TEST(Unigram, ATableSpellsCharacters) {
  GgufVocabulary vocabulary = letters();
  vocabulary.addSpacePrefix = true;
  vocabulary.shrinkSpaces = true;
  vocabulary.spellings = tableOf({{'A', "a"}, {'\t', " "}, {'X', ""}, {'Z', "b c"}});
  const auto tokenizer = tokenizerOf(vocabulary);
  EXPECT_EQ(tokenizer->encode("A\t\t bXc", false), (Ids{10, 9, 7}));
  EXPECT_EQ(tokenizer->encode("\tZ", false), (Ids{9, 4, 9, 5}));
  EXPECT_EQ(tokenizer->encode("X", false), Ids{});
}

TEST(Unigram, ABrokenTableIsOneLineOrSpellsNothing) {
  GgufVocabulary vocabulary = letters();
  const std::vector<uint8_t> whole = tableOf({{'A', "a"}, {'Z', "b c"}});
  const auto outcome = [&](const std::vector<uint8_t> &table) -> std::string {
    vocabulary.spellings = table;
    try {
      return tokenizerOf(vocabulary)->decode(tokenizerOf(vocabulary)->encode("aAbZ", false), false);
    } catch (const TextError &error) {
      return error.what();
    }
  };
  const std::string broken = "the table of spellings (precompiled_charsmap) is broken; convert the model again";
  EXPECT_NE(outcome({1, 2, 3}).find(broken), std::string::npos);
  EXPECT_NE(outcome({whole.begin(), whole.begin() + 100}).find(broken), std::string::npos);
  EXPECT_NE(outcome({3, 0, 0, 0, 1, 2, 3}).find(broken), std::string::npos);
  EXPECT_NE(outcome({0, 0, 0, 0, 0xFF}).find(broken), std::string::npos);
  EXPECT_EQ(outcome({0, 0, 0, 0}).find("internal"), std::string::npos); // a trie of nothing
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) { // nodes and values that lead anywhere
    std::vector<uint8_t> table = whole;
    for (int change = 0; change < 200; ++change)
      table[4 + random() % (table.size() - 4)] = static_cast<uint8_t>(random());
    EXPECT_EQ(outcome(table).find("internal"), std::string::npos);
  }
}

TEST(Unigram, ScoresMustBeThere) {
  GgufVocabulary vocabulary = letters();
  vocabulary.scores[4] = NAN;
  EXPECT_THROW(buildTokenizerJson(vocabulary), TokenizerImportError);
  vocabulary.scores.clear();
  EXPECT_THROW(buildTokenizerJson(vocabulary), TokenizerImportError);
}

} // namespace
