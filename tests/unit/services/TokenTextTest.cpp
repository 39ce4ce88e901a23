//===- TokenTextTest.cpp - what a token says by itself ----------------------------------------------------------------===//
#include "services/frontend/TokenText.h"
#include "tests/unit/services/TinyModel.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace heddle;
using namespace heddle::test;

namespace {

TEST(TokenText, BytesStandBesideAPartOfACharacter) {
  ServedModel model = tinyModel();
  auto of = [&](int32_t id) { return tokenText(*model.tokenizer(), id); };
  EXPECT_EQ(of(idOf('h')).text, "h");
  EXPECT_EQ(of(idOf('h')).bytes, "");
  EXPECT_EQ(of(idOf('\xC3')).text, "\uFFFD");
  EXPECT_EQ(of(idOf('\xC3')).bytes, "\xC3");
  EXPECT_EQ(of(idOf('\xA9')).bytes, "\xA9");
  EXPECT_EQ(of(idOf(' ')).text, " ");
  EXPECT_EQ(of(kEnd).text, "</s>") << "a special token is spelt out";
  EXPECT_EQ(of(kVocabulary).text, "") << "a row of the model without a token";
}

TEST(TokenText, ASpaceBeforeAWordStays) {
  nlohmann::json json = {{"version", "1.0"},
                         {"normalizer", {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}},
                         {"decoder",
                          {{"type", "Sequence"},
                           {"decoders",
                            {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
                             {{"type", "ByteFallback"}},
                             {{"type", "Fuse"}},
                             {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
                         {"model",
                          {{"type", "BPE"},
                           {"unk_token", "<unk>"},
                           {"byte_fallback", true},
                           {"vocab", {{"<unk>", 0}, {"▁", 1}, {"a", 2}, {"▁a", 3}}},
                           {"merges", nlohmann::json::array({nlohmann::json::array({"▁", "a"})})}}}};
  auto tokenizer = Tokenizer::fromJson(json.dump());
  EXPECT_EQ(tokenText(*tokenizer, 3).text, " a");
  EXPECT_EQ(tokenText(*tokenizer, 2).text, "a");
  EXPECT_EQ(tokenText(*tokenizer, 1).text, " ");
}

} // namespace
