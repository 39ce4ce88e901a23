//===- NumbersTest.cpp - numbers of the command line are decimal and exact ----------------------------------------------===//
#include "tools/heddle/Numbers.h"
#include <clocale>
#include <functional>
#include <gtest/gtest.h>

using namespace heddle::tool;

namespace {

int64_t integer(std::string_view text) { return parseInteger<int64_t>("--n", text, INT64_MIN, INT64_MAX); }
uint64_t seed(std::string_view text) { return parseInteger<uint64_t>("--seed", text, 0, UINT64_MAX); }
double real(std::string_view text) { return parseReal("--x", text, -1e308, 1e308); }
uint64_t size(std::string_view text) { return parseSize("--s", text); }

std::string refusal(const std::function<void()> &parse) {
  try {
    parse();
  } catch (const UsageError &error) {
    return error.what();
  }
  return "accepted";
}

} // namespace

TEST(Numbers, IntegersAreDecimalWhateverTheirZeros) {
  EXPECT_EQ(integer("010"), 10);
  EXPECT_EQ(integer("08"), 8);
  EXPECT_EQ(integer("-007"), -7);
  EXPECT_EQ(integer("+5"), 5);
  EXPECT_EQ(integer("-0"), 0);
  EXPECT_EQ(integer("0000000000000000000000000000001"), 1);
}

TEST(Numbers, IntegersAreExactToTheirEnds) {
  EXPECT_EQ(integer("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(integer("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(seed("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(seed("9007199254740993"), 9007199254740993u) << "2^53 + 1 is no double";
  EXPECT_EQ(refusal([] { seed("18446744073709551616"); }),
            "--seed: must be from 0 to 18446744073709551615, not 18446744073709551616");
  EXPECT_EQ(refusal([] { seed("-1"); }), "--seed: must be at least 0, not -1");
  EXPECT_EQ(refusal([] { seed("-18446744073709551616"); }), "--seed: must be at least 0, not -18446744073709551616");
  EXPECT_EQ(refusal([] { integer("9223372036854775808"); }), "--n: must be at most 9223372036854775807, not 9223372036854775808");
  EXPECT_EQ(refusal([] { integer("-9223372036854775809"); }),
            "--n: must be at least -9223372036854775808, not -9223372036854775809");
  EXPECT_EQ(refusal([] { parseInteger<int64_t>("-n", "0", 1, INT64_MAX); }), "-n: must be at least 1, not 0");
  EXPECT_EQ(refusal([] { parseInteger<int64_t>("-n", "18446744073709551616", 1, INT64_MAX); }),
            "-n: must be from 1 to 9223372036854775807, not 18446744073709551616");
  EXPECT_EQ(refusal([] { parseInteger<int64_t>("--ranks", "0", 1, 1024); }), "--ranks: must be from 1 to 1024, not 0");
}

TEST(Numbers, WhatIsNoIntegerIsRefused) {
  for (const char *text : {"",      " ",     "-",  "+",  "+-1", "--1", "0x10", "0b1", "1e3", "1.0",   "1.5",
                           "1,000", "1_000", " 1", "1 ", "1\n", "ten", "1k",   "inf", "nan", "\u0661"})
    EXPECT_NE(refusal([&] { integer(text); }), "accepted") << text;
}

TEST(Numbers, RealsAreDecimalAndFinite) {
  EXPECT_EQ(real("0.1"), 0.1);
  EXPECT_EQ(real(".5"), 0.5);
  EXPECT_EQ(real("010"), 10);
  EXPECT_EQ(real("5e-1"), 0.5);
  EXPECT_EQ(real("+2"), 2);
  for (const char *text : {"", " ", "-", "+", "+-1", "nan", "inf", "-inf", "infinity", "0x1p3", "0x10", "1,5", " 1", "1 ", "1f",
                           "1e999", "1e-999", "a"})
    EXPECT_NE(refusal([&] { real(text); }), "accepted") << text;
  EXPECT_EQ(refusal([] { parseReal("--timeout", "0", 0.001, 1e6); }), "--timeout: must be from 0.001 to 1e+06, not 0");
}

TEST(Numbers, AnotherLocaleChangesNothing) {
  const char *comma = nullptr;
  for (const char *name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"})
    comma = comma ? comma : std::setlocale(LC_ALL, name);
  if (!comma)
    GTEST_SKIP() << "no locale with a decimal comma is installed";
  EXPECT_EQ(real("0.5"), 0.5);
  EXPECT_EQ(size("1.5K"), 1536u);
  EXPECT_NE(refusal([] { real("0,5"); }), "accepted");
  std::setlocale(LC_ALL, "C");
}

TEST(Numbers, SizesAreExact) {
  EXPECT_EQ(size("1000000"), 1000000u);
  EXPECT_EQ(size("1125899906842623"), 1125899906842623u);
  EXPECT_EQ(size("512M"), 512u << 20);
  EXPECT_EQ(size("010M"), 10u << 20);
  EXPECT_EQ(size("4g"), uint64_t(4) << 30);
  EXPECT_EQ(size("1.5GiB"), uint64_t(3) << 29);
  EXPECT_EQ(size("0.3G"), 322122547u);
  EXPECT_EQ(size("7kb"), 7u << 10);
  EXPECT_EQ(size("100B"), 100u);
  for (const char *text : {"",
                           "0",
                           "0K",
                           "-1",
                           "+1",
                           "4X",
                           "x",
                           "K",
                           "1e3",
                           "1e3K",
                           "0x10M",
                           "1.5",
                           "1.5B",
                           "1.M",
                           ".5M",
                           "1..5M",
                           "10 M",
                           " 1M",
                           "1M ",
                           "1MM",
                           "1KBB",
                           "1iB",
                           "nan",
                           "inf",
                           "1125899906842624",
                           "1024T",
                           "99999999999999999999999999",
                           "0.00000000000000000000000001T"})
    EXPECT_NE(refusal([&] { size(text); }), "accepted") << text;
}

TEST(Numbers, ASizeThatIsNoneIsToldFromOneThatIsOutside) {
  for (const char *text : {"0", "0K", "0.0001K"})
    EXPECT_EQ(refusal([&] { size(text); }), "--s: must be at least 1 byte, not " + std::string(text));
  for (const char *text :
       {"1024T", "1P", "8E", "16EiB", "1125899906842624", "99999999999999999999999999", "99999999999999999999K"})
    EXPECT_EQ(refusal([&] { size(text); }), "--s: must be less than 1024T, not " + std::string(text));
  EXPECT_EQ(refusal([] { size("1.5X"); }), "--s: '1.5X' is no size; write bytes, or a number with K, M, G or T, such as 512M");
  EXPECT_EQ(refusal([] { size("0.00000000000000000000000001T"); }),
            "--s: must be written with fewer digits, not 0.00000000000000000000000001T");
}
