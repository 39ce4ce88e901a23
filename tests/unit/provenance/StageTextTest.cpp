//===- StageTextTest.cpp - values out of place in a stage's text -----------------------------------------------------===//
#include "compiler/driver/StageText.h"
#include <gtest/gtest.h>

using namespace heddle;

namespace {

std::string problemOf(const std::string &body) {
  return misplacedValue("module {\n  func.func private @f(%x: memref<?xf32> {heddle.name = \"%no\"}, %n: index) {\n" + body +
                        "    return\n  }\n}\n");
}

TEST(StageText, ValuesAreKnownFromTheirLineOnToTheEndOfTheirBraces) {
  EXPECT_EQ(problemOf("    %0:2 = op %x, %n\n    op %0#1\n"), "");
  EXPECT_EQ(problemOf("    %r = scf.for %i = %n to %n iter_args(%a = %n) -> (index) {\n      %1 = op %i, %a\n      if %1 {\n     "
                      "   op %1\n      }\n    }\n"
                      "    op %r\n"),
            "");
  EXPECT_EQ(problemOf("    op {\n    ^bb0(%b: index):\n      op %b\n    }\n"), "");
  const std::string outside = " is used before it is defined, or outside of where it is";
  EXPECT_EQ(problemOf("    op %0\n    %0 = op\n"), "line 3: %0" + outside);
  EXPECT_EQ(problemOf("    if %n {\n      %1 = op\n    }\n    op %1\n"),
            "line 6: %1" + outside); // MLIR 19's parser falls over it
  EXPECT_EQ(problemOf("    scf.for %i = %n to %n {\n    }\n    op %i\n"), "line 5: %i" + outside);
  EXPECT_EQ(problemOf("    if %n {\n      %1 = op\n    } else {\n      op %1\n    }\n"), "line 6: %1" + outside);
  EXPECT_EQ(problemOf("    return\n  }\n  func.func @g() {\n    op %x\n"), "line 6: %x" + outside);
}

} // namespace
