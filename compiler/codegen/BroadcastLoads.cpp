//===- BroadcastLoads.cpp - which instruction spreads a float over a register ----------------------------------------===//
#include "compiler/codegen/BroadcastLoads.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/PatternMatch.h"
#include "llvm/Transforms/Utils/Local.h"

using namespace llvm;
using namespace heddle;

/// The float in memory that `splat` spreads over 16 lanes, if that is all that it is read for.
static LoadInst *broadcastLoad(Instruction &splat) {
  using namespace PatternMatch;
  Value *scalar;
  if (splat.getType() != FixedVectorType::get(Type::getFloatTy(splat.getContext()), 16) || splat.hasOneUse() ||
      !match(&splat, m_Shuffle(m_OneUse(m_InsertElt(m_Undef(), m_Value(scalar), m_ZeroInt())), m_Value(), m_ZeroMask())))
    return nullptr;
  auto *load = dyn_cast<LoadInst>(scalar);
  return load && load->hasOneUse() && load->isSimple() && load->getParent() == splat.getParent() ? load : nullptr;
}

PreservedAnalyses BroadcastLoads::run(Function &function, FunctionAnalysisManager &) {
  bool changed = false;
  for (Instruction &splat : make_early_inc_range(instructions(function))) {
    LoadInst *load = broadcastLoad(splat);
    if (!load)
      continue;
    IRBuilder<> at(load); // where the memory holds what is meant
    auto *type = FunctionType::get(splat.getType(), {load->getPointerOperandType()}, false);
    CallInst *broadcast = at.CreateCall(InlineAsm::get(type, "vpbroadcastd $1, $0", "=v,*m", /*hasSideEffects=*/false),
                                        {load->getPointerOperand()});
    broadcast->addParamAttr(0, Attribute::get(function.getContext(), Attribute::ElementType, load->getType()));
    broadcast->setOnlyReadsMemory(), broadcast->setOnlyAccessesArgMemory(), broadcast->setDoesNotThrow();
    splat.replaceAllUsesWith(broadcast);
    RecursivelyDeleteTriviallyDeadInstructions(&splat);
    changed = true;
  }
  return changed ? PreservedAnalyses::none() : PreservedAnalyses::all();
}
