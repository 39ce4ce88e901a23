// Which loads become vpbroadcastd, on LLVM IR as the optimiser leaves it.
#include "compiler/codegen/BroadcastLoads.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/SourceMgr.h"
#include <gtest/gtest.h>

namespace {
/// `body` after the pass, as a function of pointer %p and vectors %a, %b that returns a vector.
std::string after(const std::string &body) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic error;
  auto module = llvm::parseAssemblyString("define <16 x float> @f(ptr %p, <16 x float> %a, <16 x float> %b) {\n" + body + "}\n",
                                          error, context);
  if (!module)
    return "not parsed: " + error.getMessage().str();
  llvm::FunctionAnalysisManager none;
  heddle::BroadcastLoads().run(*module->getFunction("f"), none);
  std::string text;
  llvm::raw_string_ostream out(text);
  if (llvm::verifyModule(*module, &out))
    return "broken: " + text;
  out << *module;
  return text;
}
bool has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

const std::string kSplat = "%i = insertelement <16 x float> poison, float %x, i64 0\n"
                           "%v = shufflevector <16 x float> %i, <16 x float> poison, <16 x i32> zeroinitializer\n";
const std::string kTwoUses = "%y = fadd <16 x float> %v, %a\n%z = fadd <16 x float> %v, %y\nret <16 x float> %z\n";

TEST(BroadcastLoads, AFloatThatTwoInstructionsShare) {
  std::string text = after("%x = load float, ptr %p\n" + kSplat + kTwoUses);
  EXPECT_TRUE(has(text, "asm \"vpbroadcastd $1, $0\", \"=v,*m\"(ptr elementtype(float) %p)")) << text;
  EXPECT_FALSE(has(text, "load float")) << text;
  EXPECT_FALSE(has(text, "shufflevector")) << text;
}

TEST(BroadcastLoads, IsReadBeforeTheStoreThatFollowsIt) {
  std::string text = after("%x = load float, ptr %p\nstore float 0.0, ptr %p\n" + kSplat + kTwoUses);
  ASSERT_TRUE(has(text, "vpbroadcastd")) << text;
  EXPECT_LT(text.find("vpbroadcastd"), text.find("store float")) << text;
}

TEST(BroadcastLoads, WhatBecomesPartOfOneInstructionStays) {
  EXPECT_FALSE(
      has(after("%x = load float, ptr %p\n" + kSplat + "%y = fadd <16 x float> %v, %a\nret <16 x float> %y\n"), "vpbroadcastd"));
}

TEST(BroadcastLoads, AFloatOfARegisterStays) {
  EXPECT_FALSE(has(after("%x = extractelement <16 x float> %b, i64 3\n" + kSplat + kTwoUses), "vpbroadcastd"));
}

TEST(BroadcastLoads, AFloatThatIsNeededAsSuchStays) {
  EXPECT_FALSE(has(after("%x = load float, ptr %p\nstore float %x, ptr %p\n" + kSplat + kTwoUses), "vpbroadcastd"));
}

TEST(BroadcastLoads, AVolatileOrDistantLoadStays) {
  EXPECT_FALSE(has(after("%x = load volatile float, ptr %p\n" + kSplat + kTwoUses), "vpbroadcastd"));
  EXPECT_FALSE(has(after("%x = load float, ptr %p\nbr label %next\nnext:\n" + kSplat + kTwoUses), "vpbroadcastd"));
}
} // namespace
