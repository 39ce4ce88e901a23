//===- TokenizerTest.cpp - encoding and decoding with both kinds of vocabulary ---------------------------------------===//
#include "tests/unit/text/Vocabularies.h"
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <thread>

using namespace heddle;
using Ids = std::vector<int32_t>;

namespace {

std::string messageOf(const std::function<void()> &act) {
  try {
    act();
  } catch (const TextError &error) {
    return error.what();
  }
  return "no error";
}

TEST(ByteLevel, MergesInOrder) {
  const auto tokenizer = tokenizerOf(tinyByteLevel());
  EXPECT_EQ(tokenizer->encode("hello hello", false), (Ids{259, 260}));
  EXPECT_EQ(tokenizer->encode("", true), Ids{});
  EXPECT_EQ(tokenizer->vocabularySize(), 262);
}

TEST(ByteLevel, SpecialTokensAreTextUnlessParsed) {
  const auto tokenizer = tokenizerOf(tinyByteLevel());
  EXPECT_EQ(tokenizer->encode("hello<|end|>hello", true), (Ids{259, 0, 259}));
  const Ids plain = tokenizer->encode("<|end|>", false);
  EXPECT_EQ(plain.size(), 7u);
  EXPECT_EQ(tokenizer->decode(plain, true), "<|end|>");
  // User-defined tokens are found either way.
  EXPECT_EQ(tokenizer->encode("<tool>hello", false), (Ids{1, 259}));
  EXPECT_EQ(tokenizer->encode("<tool>hello", true), (Ids{1, 259}));
}

TEST(ByteLevel, DecodesWithAndWithoutSpecialTokens) {
  const auto tokenizer = tokenizerOf(tinyByteLevel());
  const Ids ids = {259, 0, 260, 1};
  EXPECT_EQ(tokenizer->decode(ids, true), "hello hello<tool>");
  EXPECT_EQ(tokenizer->decode(ids, false), "hello<|end|> hello<tool>");
  EXPECT_EQ(tokenizer->decode(Ids{259, 262, 1 << 30, -1, 259}, false), "hellohello"); // ids without a token have no text
}

TEST(ByteLevel, RoundTripsEveryCharacterWithTokens) {
  const auto tokenizer = tokenizerOf(tinyByteLevel());
  const std::string text = "Grüße, Ελλάδα, नमस्ते, 你好, 👩‍👩‍👧‍👦\r\n\t\v end";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, true), true), text);
}

TEST(ByteLevel, BytesWithoutTokenVanishAndSeparate) {
  const auto tokenizer = tokenizerOf(tinyByteLevel());
  Ids apart = tokenizer->encode("a", false);
  apart.push_back(tokenizer->encode("b", false).at(0));
  EXPECT_EQ(tokenizer->encode(std::string_view("a\0b", 3), false), apart);
  EXPECT_EQ(tokenizer->encode("ab", false), Ids{261});
}

TEST(SentencePiece, JoinsByScoreNotByLength) {
  const auto tokenizer = tokenizerOf(tinySentencePiece(false));
  EXPECT_EQ(tokenizer->encode("abc", false), Ids{268});
  EXPECT_EQ(tokenizer->encode("abbc", false), (Ids{266, 267}));
  EXPECT_EQ(tokenizer->encode("aaaaa", false), (Ids{271, 272})); // aa aa a, then the last pair
}

TEST(SentencePiece, PrefixSpaceComesAtTheStartAndAfterSpecialTokens) {
  const auto with = tokenizerOf(tinySentencePiece(true)), without = tokenizerOf(tinySentencePiece(false));
  EXPECT_EQ(with->encode("hi", false), Ids{269});
  EXPECT_EQ(without->encode("hi", false), Ids{270});
  EXPECT_EQ(with->encode("<s>hi</s>hi", true), (Ids{1, 269, 2, 269}));
  EXPECT_EQ(with->decode(Ids{269, 269}, true), "hi hi");
  EXPECT_EQ(without->decode(Ids{269, 269}, true), " hi hi");
}

TEST(SentencePiece, TextsOfSingleTokensKeepTheirSpace) {
  const auto tokenizer = tokenizerOf(tinySentencePiece(true));
  EXPECT_EQ(tokenizer->tokenText(269), " hi");
  EXPECT_EQ(tokenizer->tokenText(260), " ");
  EXPECT_EQ(tokenizer->tokenText(1), "<s>");
  EXPECT_EQ(tokenizer->tokenText(4 + 0xC3), "\uFFFD");
  EXPECT_EQ(tokenizer->tokenText(1 << 20), "");
}

TEST(SentencePiece, FallsBackToBytes) {
  const auto tokenizer = tokenizerOf(tinySentencePiece(false));
  EXPECT_EQ(tokenizer->encode("aé", false), (Ids{261, 4 + 0xC3, 4 + 0xA9}));
  EXPECT_EQ(tokenizer->decode(Ids{261, 4 + 0xC3, 4 + 0xA9, 4 + 0xC3, 262}, true), "aé\uFFFDb");
}

TEST(SentencePiece, UserDefinedAlwaysControlWhenParsed) {
  const auto tokenizer = tokenizerOf(tinySentencePiece(false));
  EXPECT_EQ(tokenizer->encode("a\n\nb", false), (Ids{261, 3, 262}));
  EXPECT_EQ(tokenizer->encode("<s>", true), Ids{1});
  EXPECT_GT(tokenizer->encode("<s>", false).size(), 1u);
  // "</s>" is in the file as user-defined: a tag of HTML that is printed, but not made of a user's text.
  EXPECT_FALSE(tokenizer->isHidden(2));
  EXPECT_EQ(tokenizer->decode(Ids{261, 2}, true), "a</s>");
  EXPECT_EQ(tokenizer->encode("</s>", true), Ids{2});
  EXPECT_GT(tokenizer->encode("</s>", false).size(), 1u);
}

/// A WordPiece tokenizer with `frame` as its post_processor.
std::shared_ptr<const Tokenizer> framed(const nlohmann::json &frame) {
  nlohmann::json vocabulary;
  for (const char *word : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s", "é"})
    vocabulary[word] = vocabulary.size();
  nlohmann::json added = nlohmann::json::array();
  for (int id : {0, 2, 3})
    added.push_back({{"id", id},
                     {"content", id == 0   ? "[PAD]"
                                 : id == 2 ? "[CLS]"
                                           : "[SEP]"},
                     {"special", true},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false}});
  return Tokenizer::fromJson(nlohmann::json{
      {"version", "1.0"},
      {"truncation", {{"max_length", 3}, {"strategy", "LongestFirst"}, {"stride", 0}}},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer", {{"type", "BertNormalizer"}, {"clean_text", true}, {"handle_chinese_chars", true}, {"lowercase", true}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor", frame},
      {"decoder", nullptr},
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", "[UNK]"},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", 100},
        {"vocab", vocabulary}}}}.dump());
}

TEST(WholeTexts, HaveTheTokensThatTheModelWantsAroundThem) {
  auto tokenizer = framed({{"type", "BertProcessing"}, {"sep", {"[SEP]", 3}}, {"cls", {"[CLS]", 2}}});
  EncodedText one = tokenizer->encodeWhole("The cats");
  EXPECT_EQ(one.ids, (Ids{2, 4, 5, 6, 3})); // and none is cut
  EXPECT_EQ(one.types, (Ids{0, 0, 0, 0, 0}));
  EXPECT_EQ(one.part, (Ids{-1, 0, 0, 0, -1}));
  EXPECT_EQ(one.begin, (Ids{0, 0, 4, 7, 0}));
  EXPECT_EQ(one.end, (Ids{0, 3, 7, 8, 0}));
  EncodedText pair = tokenizer->encodeWhole("cat", "[SEP] cats"); // a special token that is written is text
  EXPECT_EQ(pair.ids, (Ids{2, 5, 3, 1, 1, 1, 5, 6, 3}));
  EXPECT_EQ(pair.types, (Ids{0, 0, 0, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(pair.part, (Ids{-1, 0, -1, 1, 1, 1, 1, 1, -1}));
  EXPECT_EQ(pair.begin[6], 6);
  EXPECT_EQ(tokenizer->encodeWhole("").ids, (Ids{2, 3}));
  EXPECT_EQ(tokenizer->encodeWhole("cat", "").ids, (Ids{2, 5, 3, 3}));
  tokenizer = framed(nullptr);
  EXPECT_EQ(tokenizer->encodeWhole("the", "cat").ids, (Ids{4, 5}));
  EXPECT_EQ(tokenizer->encodeWhole("the", "cat").part, (Ids{0, 1}));
  EXPECT_TRUE(tokenizer->encodeWhole("").ids.empty());
}

TEST(WholeTexts, AFrameThatIsNoneCostsOnlyThem) {
  const auto tokenizer = framed({{"type", "Magic"}});
  EXPECT_EQ(tokenizer->encode("the cat", false), (Ids{4, 5}));
  EXPECT_NE(messageOf([&] { tokenizer->encodeWhole("the cat"); }).find("post_processor"), std::string::npos);
  EXPECT_EQ(messageOf([&] { framed(nullptr)->encodeWhole("a\xe9"); }), "the text is not valid UTF-8 at byte 1; send UTF-8");
}

TEST(Tokenizer, InvalidUtf8NamesTheByte) {
  const auto tokenizer = tokenizerOf(tinyByteLevel());
  EXPECT_EQ(messageOf([&] { tokenizer->encode("hell\xC3(", false); }), "the text is not valid UTF-8 at byte 4; send UTF-8");
  EXPECT_EQ(messageOf([&] { tokenizer->encode("\xED\xA0\x80", true); }), "the text is not valid UTF-8 at byte 0; send UTF-8");
}

TEST(Tokenizer, BrokenFilesAreOneLine) {
  for (const char *json :
       {"", "{", "[]", "{\"model\":{}}", "{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[[\"a\",\"b\"]]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\\nb\"]}}", "\xFF"}) {
    const std::string message = messageOf([&] { Tokenizer::fromJson(json); });
    EXPECT_NE(message, "no error") << json;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_NE(message.find("tokenizer"), std::string::npos) << message;
  }
}

TEST(Tokenizer, ManyThreadsShareOne) {
  const auto tokenizer = tokenizerOf(tinyByteLevel());
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(tokenizer->encode("hello hello<|end|>", true), (Ids{259, 260, 0}));
        EXPECT_EQ(tokenizer->decode(Ids{259, 260}, true), "hello hello");
      }
    });
}

TEST(TokenizerFile, OpensWhatIsThereAndNamesWhatIsNot) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "heddle-tokenizer-file";
  std::filesystem::create_directories(folder / "folder.json");
  std::ofstream(folder / "empty.json");
  std::ofstream(folder / "broken.json") << "{\"model\":";
  std::ofstream(folder / "good.json") << buildTokenizerJson(tinyByteLevel());
  EXPECT_EQ(Tokenizer::open(folder / "good.json")->encode("hello", false), (Ids{259}));
  for (const char *name : {"missing.json", "folder.json", "empty.json", "broken.json"}) {
    const std::string path = (folder / name).string(), message = messageOf([&] { Tokenizer::open(path); });
    EXPECT_TRUE(message.starts_with(path + ": ") && message.ends_with("; compile the model again")) << message;
  }
  std::filesystem::remove_all(folder);
}

TEST(LeastTokens, AreThoseOfTheLongestToken) {
  const std::string text(70, 'a');
  EXPECT_EQ(tokenizerOf(tinyByteLevel())->leastTokens(text), 10); // <|end|>
  EXPECT_EQ(tokenizerOf(tinyByteLevel())->leastTokens(text + "a"), 11);
  EXPECT_EQ(tokenizerOf(tinyByteLevel())->leastTokens(""), 0);
  EXPECT_EQ(tokenizerOf(tinySentencePiece(true))->leastTokens(text), 12); // <0x00>, though it is one byte
  GgufVocabulary spaces = tinyByteLevel();
  spaces.tokens.push_back("<|end|>\u0120\u0120\u0120"); // a mark is one byte of the text
  spaces.types.push_back(kNormal);
  EXPECT_EQ(tokenizerOf(spaces)->leastTokens(text), 7);
}

TEST(LeastTokens, BytesWithoutTokenDoNotCount) {
  const auto tokenizer = tokenizerOf(tinyByteLevel()); // 0x00 has none
  const std::string text = std::string(1000, '\0') + "hello" + std::string(1000, '\0');
  ASSERT_EQ(tokenizer->encode(text, true).size(), 1u);
  EXPECT_EQ(tokenizer->leastTokens(text), 1);
}

TEST(LeastTokens, AreUnknownWhereCharactersMayVanish) {
  nlohmann::json json = nlohmann::json::parse(buildTokenizerJson(tinySentencePiece(true)));
  const auto changed = [&](const char *part, const nlohmann::json &value) {
    nlohmann::json other = json;
    other[nlohmann::json::json_pointer(part)] = value;
    return Tokenizer::fromJson(other.dump())->leastTokens("a a a a");
  };
  EXPECT_EQ(changed("/version", "1.0"), 2);
  EXPECT_EQ(changed("/normalizer", {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}}), 0);
  EXPECT_EQ(changed("/normalizer", {{"type", "NFC"}}), 0);
  EXPECT_EQ(changed("/pre_tokenizer", {{"type", "WhitespaceSplit"}}), 0);
  EXPECT_EQ(
      changed("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "[a]"}}}, {"behavior", "Removed"}, {"invert", false}}),
      0);
  EXPECT_EQ(changed("/added_tokens/0/rstrip", true), 0);
  json["model"]["unk_id"] = nullptr;
  EXPECT_EQ(changed("/model/vocab/4", json["model"]["vocab"][4]), 2); // <0x00>: every byte has a token
  EXPECT_EQ(changed("/model/vocab/4/0", "zero"), 0);                  // one has none, and there is no unknown token
}

TEST(LeastTokens, AreNeverMoreThanTheTextHas) {
  for (const GgufVocabulary &vocabulary : {tinyByteLevel(), tinySentencePiece(false), tinySentencePiece(true)}) {
    const auto tokenizer = tokenizerOf(vocabulary);
    for (const std::string text :
         {"hello hello", "<|end|><|end|><tool>", "▁▁▁▁", "aaaaaaaa", "\n\n\n\n\n\n", "</s></s></s>", "日本語", "\0\0"})
      EXPECT_LE(tokenizer->leastTokens(text), int64_t(tokenizer->encode(text, true).size())) << text;
  }
}

} // namespace
