//===- BroadcastLoads.h - which instruction spreads a float over a register ------------------------------------------===//
#pragma once
#include "llvm/IR/PassManager.h"

namespace heddle {

/// Makes floats of memory that several instructions of 16 lanes share vpbroadcastd, for AVX-512.
///
/// On Zen 4 vbroadcastss into 512 bits takes a turn of the pipes that multiply, and vpbroadcastd, which moves the same bits, does
/// not: attention, with a broadcast for every two multiplications, gains a tenth. LLVM has no way to ask for one or the other: it
/// selects by the type of the lanes. What a single instruction reads LLVM makes part of it, as {1to16}, which costs nothing
/// either.
///
///   %x = load float, ptr %p                     %v = call <16 x float> asm "vpbroadcastd $1, $0", "=v,*m"(ptr %p)
///   %i = insertelement poison, %x, 0      →     … %v … %v …
///   %v = shufflevector %i, zeroinitializer
///   … %v … %v …
struct BroadcastLoads : llvm::PassInfoMixin<BroadcastLoads> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &);
};

} // namespace heddle
