//===- StreamDecoderTest.cpp - characters are never split ------------------------------------------------------------===//
#include "runtime/text/Utf8.h"
#include "tests/unit/text/Vocabularies.h"
#include <chrono>
#include <gtest/gtest.h>

using namespace heddle;

namespace {

bool wholeUtf8(const std::string &text) {
  std::string out;
  return appendWholeCharacters(text, out) == text.size() && out == text;
}

// Four people, three joiners, a variation selector, flags: each byte a token.
constexpr char kEmoji[] = "a👩‍👩‍👧‍👦b🏳️‍🌈c🇩🇪🏴󠁧󠁢󠁥󠁮󠁧󠁿é";

void streams(const GgufVocabulary &vocabulary) {
  const auto tokenizer = tokenizerOf(vocabulary);
  const std::vector<int32_t> ids = tokenizer->encode(kEmoji, false);
  ASSERT_EQ(ids.size(), sizeof kEmoji - 1);
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (int32_t id : ids) {
    const std::string part = decoder.push(id);
    EXPECT_TRUE(wholeUtf8(part));
    text += part;
  }
  EXPECT_EQ(text, kEmoji); // nothing is held back once a character is complete
  EXPECT_EQ(decoder.flush(), "");
}

TEST(StreamDecoder, ByteLevelEmoji) { streams(tinyByteLevel()); }
TEST(StreamDecoder, SentencePieceEmoji) { streams(tinySentencePiece(false)); }

TEST(StreamDecoder, BrokenCharactersBecomeReplacements) {
  StreamDecoder decoder(tokenizerOf(tinySentencePiece(false)));
  const auto byte = [](int value) { return int32_t(4 + value); };
  EXPECT_EQ(decoder.push(byte(0xE2)), "");
  EXPECT_EQ(decoder.push(byte(0x82)), "");
  EXPECT_EQ(decoder.push(byte(0xAC)), "€");
  EXPECT_EQ(decoder.push(byte(0xFF)), "\uFFFD");
  EXPECT_EQ(decoder.push(byte(0xE2)), "");
  EXPECT_EQ(decoder.push(261), "\uFFFDa"); // the character will not be completed
  EXPECT_EQ(decoder.push(byte(0xF0)), "");
  EXPECT_EQ(decoder.push(byte(0x9F)), "");
  EXPECT_EQ(decoder.flush(), "\uFFFD");
  EXPECT_EQ(decoder.flush(), "");
}

TEST(StreamDecoder, KeepsTheSpaceThatContinuesAPrompt) {
  StreamDecoder decoder(tokenizerOf(tinySentencePiece(true)));
  EXPECT_EQ(decoder.push(269), " hi");
  EXPECT_EQ(decoder.push(1), ""); // control tokens have no text
  EXPECT_EQ(decoder.push(269), " hi");
}

TEST(StreamDecoder, SpecialTokensInsideACharacterChangeNothing) {
  StreamDecoder decoder(tokenizerOf(tinySentencePiece(false)));
  EXPECT_EQ(decoder.push(4 + 0xC3), "");
  EXPECT_EQ(decoder.push(1), "");
  EXPECT_EQ(decoder.push(4 + 0xA9), "é");
}

// A decoder whose words depend on their neighbours: "##" joins, a space separates.
TEST(StreamDecoder, DecodersWithContext) {
  const auto tokenizer = Tokenizer::fromJson(R"({"version":"1.0","added_tokens":[],"normalizer":null,
    "pre_tokenizer":{"type":"Whitespace"},"decoder":{"type":"WordPiece","prefix":"##","cleanup":false},
    "model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,
    "vocab":{"[UNK]":0,"heddle":1,"##s":2,"weave":3}}})");
  EXPECT_EQ(tokenizer->encode("heddles weave", false), (std::vector<int32_t>{1, 2, 3}));
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(1) + decoder.push(2) + decoder.push(3) + decoder.push(3), "heddles weave weave");
}

// Twenty thousand tokens; were the cost of each to grow with those before it, this would take minutes.
TEST(StreamDecoder, CostDoesNotGrow) {
  StreamDecoder decoder(tokenizerOf(tinyByteLevel()));
  const auto start = std::chrono::steady_clock::now();
  size_t bytes = 0;
  for (int i = 0; i < 20000; ++i)
    bytes += decoder.push(260).size();
  EXPECT_EQ(bytes, 20000u * 6);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

} // namespace
