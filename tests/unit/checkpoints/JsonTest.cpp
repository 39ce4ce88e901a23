// Configurations: leaves by keys with dots and their types; what is no object, said twice or nested without end.
#include "compiler/checkpoints/folder/Json.h"
#include "compiler/checkpoints/folder/TokenizerJson.h"
#include "tests/unit/checkpoints/Checks.h"

using namespace heddle;
using namespace heddle::test;

namespace {

std::string refusal(const std::string &text) {
  return errorOf([&] { parseJsonObject(text, "config.json"); });
}

TEST(Json, LeavesWithTheirTypes) {
  const Json json =
      parseJsonObject(R"({"a":{"b":1,"c":{"d":2.5}},"e":[1,"x",true],"f":null,"g":{},"h":18446744073709551615})", "c");
  std::vector<std::string> shown;
  for (const auto &[key, value] : flattenedJson(json))
    shown.push_back(key + "=" + shownSetting(value));
  EXPECT_EQ(shown, (std::vector<std::string>{"a.b=1", "a.c.d=2.5", "e=[1, x, true]", "f=null", "g=null", "h=1.844674e+19"}));
  EXPECT_TRUE(flattenedJson(json)[0].second.as<int64_t>());
  EXPECT_TRUE(flattenedJson(json)[1].second.as<double>());
}

TEST(Json, WhatIsNoConfiguration) {
  EXPECT_SAYS(refusal("[1]"), "no JSON object");
  EXPECT_SAYS(refusal(""), "no JSON");
  EXPECT_SAYS(refusal("{\"a\":1"), "no JSON at byte");
  EXPECT_SAYS(refusal(R"({"a":{"x":1,"x":2}})"), "'x' appears twice");
  EXPECT_EQ(refusal(R"({"a":{"x":1},"b":{"x":2}})"), "no error");
  EXPECT_SAYS(refusal(R"({"a":)" + std::string(100000, '[') + std::string(100000, ']') + "}"), "nested deeper");
  EXPECT_SAYS(refusal(R"({"a":1e999})"), "out of range");
}

TEST(Json, WhatATokenizerSays) {
  auto read = [](const std::string &text) { return readTokenizerJson(text, "tokenizer.json", {"b", "▁"}); };
  TokenizerJson bpe =
      read(R"({"added_tokens":[{"id":7,"content":"<s>","special":true}],"model":{"type":"BPE","vocab":{"a":0,"b":5},)"
           R"("merges":[["a","b"]]},"post_processor":{"type":"ByteLevel"}})");
  EXPECT_EQ(bpe.count, 8);
  EXPECT_EQ(bpe.ids.at("b"), 5);
  EXPECT_EQ(bpe.ids.at("<s>"), 7);
  EXPECT_TRUE(bpe.added.at(0).special);
  EXPECT_EQ(bpe.postProcessor["type"], "ByteLevel");
  TokenizerJson unigram = read(R"({"model":{"type":"Unigram","vocab":[["<unk>",0],["▁",-1.5],["c",-2]]}})");
  EXPECT_EQ(unigram.count, 3);
  EXPECT_EQ(unigram.ids.at("▁"), 1);
  for (const char *wrong :
       {"[]", "{}", R"({"model":{"vocab":{}}})", R"({"model":{"vocab":{"a":-1}}})", R"({"model":{"vocab":{"a":4294967296}}})",
        R"({"model":{"vocab":{"a":1}},"added_tokens":[{"id":"x","content":"y"}]})",
        R"({"model":{"vocab":{"a":1}},"added_tokens":{}})"})
    EXPECT_SAYS(errorOf([&] { read(wrong); }), "tokenizer.json") << wrong;
}

} // namespace
