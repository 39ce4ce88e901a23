//===- FuseRequantisation.cpp - quantise as the producer stores ------------------------------------------------------===//
//
//   %h = heddle.rms_norm %x, %w … : … -> tensor<?x576xf32>
//   %q = heddle.quantize %h                                    →   %q = heddle.rms_norm %x, %w … : … -> tensor<?x576x!heddle.q8>
//
// The same for gated products and for attention. Saves writing and reading f32, and what crosses ranks is 40 bytes for 32
// features instead of 128. Attention only where a head is whole 32-blocks: a rank's share must end on one.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"

using namespace mlir;
using namespace heddle::ir;

namespace {
struct FuseRequantisation : heddle::ModulePass<FuseRequantisation> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseRequantisation)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-requantisation";
  static constexpr llvm::StringLiteral summary = "fold quantisation into the op that made the activations";

  static bool accepts(Operation *op) {
    if (auto norm = dyn_cast<RmsNormOp>(op))
      return !norm.getResidual() && norm.getGroups() == 1;
    if (auto linear = dyn_cast<LinearOp>(op))
      return linear.getGate().has_value();
    if (auto attention = dyn_cast<AttentionOp>(op))
      return attention.getHeadDim() % 32 == 0;
    return false;
  }

  void runOnOperation() override {
    getOperation().walk([&](QuantizeOp quantize) {
      Operation *producer = quantize.getInput().getDefiningOp();
      if (!producer || !quantize.getResult() || quantize.getInput() != producer->getResult(0) ||
          !quantize.getInput().hasOneUse() || !accepts(producer))
        return;
      quantize.getInput().setType(quantize.getResult().getType());
      quantize.getResult().replaceAllUsesWith(quantize.getInput());
      quantize.erase();
    });
  }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseRequantisationPass() { return std::make_unique<FuseRequantisation>(); }
