//===- TokenRolesTest.cpp - what ends a text, and what is hidden -----------------------------------------------------===//
#include "tests/unit/text/Vocabularies.h"
#include <gtest/gtest.h>

using namespace heddle;
using Ends = std::vector<int64_t>;

namespace {

/// The byte-level vocabulary with more tokens, from 262 on.
GgufVocabulary with(const std::vector<std::pair<const char *, int32_t>> &tokens) {
  GgufVocabulary vocabulary = tinyByteLevel();
  vocabulary.tokens[0] = "<|start|>"; // ends nothing
  for (const auto &[text, type] : tokens) {
    vocabulary.tokens.emplace_back(text);
    vocabulary.types.push_back(type);
  }
  return vocabulary;
}

TEST(TokenRoles, EndsOfTurnsEndATextWhateverTypeTheyHave) {
  for (const int32_t type : std::vector<int32_t>{kNormal, kControl, kUserDefined, kUnused, 77}) {
    const GgufVocabulary vocabulary = with({{"<|im_end|>", type}, {"<eos>", type}, {"<end_of_turn>", type}});
    EXPECT_EQ(endsOfText(vocabulary), (Ends{262, 263, 264})) << type;
    EXPECT_TRUE(tokenizerOf(vocabulary)->isHidden(262)) << type;
    EXPECT_EQ(tokenizerOf(vocabulary)->encode("<|im_end|>", true), std::vector<int32_t>{262}) << type;
  }
  GgufVocabulary untyped = with({{"<|im_end|>", kNormal}});
  untyped.types.clear();
  EXPECT_EQ(endsOfText(untyped), (Ends{262}));
  EXPECT_TRUE(tokenizerOf(untyped)->isHidden(262));
}

TEST(TokenRoles, WhatTheFileNamesEndsAText) {
  GgufVocabulary vocabulary =
      with({{"[stop]", kNormal}, {"<|fim_pad|>", kControl}, {"<|im_end|>", kControl}, {"<stop>", kNormal}});
  EXPECT_EQ(endsOfText(vocabulary), (Ends{264})); // a place to fill in ends nothing
  vocabulary.eos = 262;
  vocabulary.otherEnds = {265, 1, 4711, -1, 262};
  EXPECT_EQ(endsOfText(vocabulary), (Ends{1, 262, 264, 265}));
  const auto tokenizer = tokenizerOf(vocabulary);
  EXPECT_TRUE(tokenizer->isHidden(262));
  EXPECT_TRUE(tokenizer->isHidden(265));
  EXPECT_TRUE(tokenizer->isHidden(263));
  // A letter that the file names stays a letter.
  vocabulary.otherEnds = {261};
  EXPECT_EQ(endsOfText(vocabulary), (Ends{261, 262, 264}));
  EXPECT_EQ(tokenizerOf(vocabulary)->encode("ab", true), std::vector<int32_t>{261});
}

TEST(TokenRoles, NoneNamedAndNoneKnownIsNone) { EXPECT_EQ(endsOfText(with({{"<|im_start|>", kControl}})), Ends{}); }

TEST(TokenRoles, TheTagOfHtmlEndsATextOnlyWhereItMeansTheEnd) {
  GgufVocabulary gemma = with({{"</s>", kUserDefined}, {"<end_of_turn>", kControl}});
  EXPECT_EQ(endsOfText(gemma), (Ends{263}));
  EXPECT_FALSE(tokenizerOf(gemma)->isHidden(262));
  EXPECT_EQ(tokenizerOf(gemma)->tokenText(262), "</s>");
  EXPECT_GT(tokenizerOf(gemma)->encode("</s>", false).size(), 1u);
  GgufVocabulary named = gemma;
  named.eos = 262;
  EXPECT_EQ(endsOfText(named), (Ends{262, 263}));
  EXPECT_TRUE(tokenizerOf(named)->isHidden(262));
  EXPECT_EQ(endsOfText(with({{"</s>", kControl}})), (Ends{262}));
  GgufVocabulary untyped = with({{"</s>", kNormal}});
  untyped.types.clear();
  EXPECT_EQ(endsOfText(untyped), (Ends{262}));
}

TEST(TokenRoles, WhereAMessageOfSeveralEndsTheTextGoesOn) {
  EXPECT_EQ(endsOfText(with({{"<|end|>", kControl}})), (Ends{262}));
  const GgufVocabulary harmony = with({{"<|end|>", kControl}, {"<|return|>", kControl}, {"<|call|>", kControl}});
  EXPECT_EQ(endsOfText(harmony), (Ends{263, 264}));
  EXPECT_TRUE(tokenizerOf(harmony)->isHidden(262));
}

} // namespace
