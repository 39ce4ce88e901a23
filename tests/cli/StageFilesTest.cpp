//===- StageFilesTest.cpp - functions are found in the text of a stage --------------------------------------------------===//
#include "tools/heddle/StageFiles.h"
#include <gtest/gtest.h>

using namespace heddle::tool;

TEST(StageFiles, FindsMlirFunctionsWithTheirWholeBody) {
  const char *text = "module {\n"
                     "  func.func private @declared(i32)\n"
                     "  func.func private @block(%x: i32) -> i32 {\n"
                     "    scf.if %c {\n"
                     "    }\n"
                     "    return %x : i32\n"
                     "  }\n"
                     "  llvm.func @\"odd name\"() {\n"
                     "    llvm.return\n"
                     "  }\n"
                     "}\n";
  EXPECT_EQ(functionNames(text, "fused"), (std::vector<std::string>{"block", "odd name"}));
  EXPECT_EQ(functionText(text, "fused", "block"), "  func.func private @block(%x: i32) -> i32 {\n"
                                                  "    scf.if %c {\n"
                                                  "    }\n"
                                                  "    return %x : i32\n"
                                                  "  }\n");
  EXPECT_EQ(functionText(text, "fused", "blo"), "");
}

TEST(StageFiles, CountsTheLinesOfFunctions) {
  const char *text = "// stage 1: fused\n"
                     "module {\n"
                     "  func.func private @block(%x: i32) -> i32 {\n"
                     "    return %x : i32\n"
                     "  }\n"
                     "  func.func @cut_off() {\n"
                     "    return\n";
  const std::vector<FunctionLines> functions = functionsOf(text, "fused");
  ASSERT_EQ(functions.size(), 2u);
  EXPECT_EQ(functions[0].name, "block");
  EXPECT_EQ(functions[0].first, 3u);
  EXPECT_EQ(functions[0].last, 5u);
  EXPECT_EQ(functions[1].first, 6u);
  EXPECT_EQ(functions[1].last, 7u);
}

TEST(StageFiles, FindsLlvmFunctions) {
  const char *text = "declare void @heddle_barrier(i64)\n"
                     "define void @step(ptr %0) #0 {\n"
                     "  ret void\n"
                     "}\n";
  EXPECT_EQ(functionNames(text, "llvm"), std::vector<std::string>{"step"});
  EXPECT_EQ(functionText(text, "llvm", "step"), "define void @step(ptr %0) #0 {\n  ret void\n}\n");
}

TEST(StageFiles, FindsAssemblyFunctionsUpToTheirEndLabel) {
  const char *text = "\t.text\n"
                     "step:\n"
                     ".LBB0_1:\n"
                     "\tretq\n"
                     ".Lfunc_end0:\n"
                     "other:\n"
                     ".Lfunc_end1:\n";
  EXPECT_EQ(functionNames(text, "asm"), (std::vector<std::string>{"step", "other"}));
  EXPECT_EQ(functionText(text, "asm", "step"), "step:\n.LBB0_1:\n\tretq\n.Lfunc_end0:\n");
}
