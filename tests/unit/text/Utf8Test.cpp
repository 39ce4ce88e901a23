//===- Utf8Test.cpp --------------------------------------------------------------------------------------------------===//
#include "runtime/text/Utf8.h"
#include "compiler/checkpoints/tokenizer/JsonText.h"
#include <gtest/gtest.h>

using namespace heddle;

namespace {

std::string whole(std::string_view bytes, size_t used) {
  std::string out;
  EXPECT_EQ(appendWholeCharacters(bytes, out), used);
  return out;
}

TEST(Utf8, KeepsWhatMoreBytesMayComplete) {
  EXPECT_EQ(whole("abc", 3), "abc");
  EXPECT_EQ(whole("\xC3", 0), "");
  EXPECT_EQ(whole("a\xF0\x9F\x98", 1), "a");
  EXPECT_EQ(whole("\xF0\x9F\x98\x80", 4), "😀");
}

TEST(Utf8, ReplacesEachMaximalBrokenPart) {
  EXPECT_EQ(whole("\xFF", 1), "\uFFFD");
  EXPECT_EQ(whole("\x80\x80", 2), "\uFFFD\uFFFD");
  EXPECT_EQ(whole("\xE2\x82z", 3), "\uFFFDz");                         // one character cut short: one replacement
  EXPECT_EQ(whole("\xC0\xAF", 2), "\uFFFD\uFFFD");                     // overlong
  EXPECT_EQ(whole("\xED\xA0\x80", 3), "\uFFFD\uFFFD\uFFFD");           // a surrogate
  EXPECT_EQ(whole("\xF4\x90\x80\x80", 4), "\uFFFD\uFFFD\uFFFD\uFFFD"); // beyond U+10FFFF
  EXPECT_EQ(whole("\xF0\x9F\xF0\x9F\x98\x80", 6), "\uFFFD😀");
}

TEST(Utf8, APrintableLineHasNoControlCharacters) {
  EXPECT_EQ(printable("plain é 😀"), "plain é 😀");
  EXPECT_EQ(printable("a\nb\tc\x1B[0m\x7F"), "a\\nb\\tc\\x1B[0m\\x7F");
  EXPECT_EQ(printable("\xFF\xE2\x82"), "\uFFFD\uFFFD");
}

// Judging a whole and reading a stream agree, on every string of three bytes out of the ones where rules change.
TEST(Utf8, WholeTextsAndStreamsAreJudgedAlike) {
  const std::string bytes = "\x41\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF\xE0\xE1\xED\xEF\xF0\xF1\xF4\xF5\xFF";
  for (char a : bytes)
    for (char b : bytes)
      for (char c : bytes) {
        const std::string text{a, b, c, '\x80', 'x'};
        std::string out;
        const bool good = appendWholeCharacters(text, out) == text.size() && out == text;
        EXPECT_EQ(firstInvalidUtf8(text) == std::string::npos, good) << testing::PrintToString(text);
      }
}

TEST(Utf8, FindsTheFirstBrokenByte) {
  EXPECT_EQ(firstInvalidUtf8("grün"), std::string::npos);
  EXPECT_EQ(firstInvalidUtf8("gr\xFC"
                             "n"),
            2u);
  EXPECT_EQ(firstInvalidUtf8("ab\xE2\x82"), 2u);
}

TEST(JsonText, EscapesWhatJsonMust) {
  std::string out;
  appendJsonString(out, std::string_view("a\"\\\n\0é", 7));
  EXPECT_EQ(out, "\"a\\\"\\\\\\u000a\\u0000é\"");
}

} // namespace
