//===- FuseResidual.cpp - the residual sum as an epilogue -----------------------------------------------------------===//
//
//   %y = heddle.linear %a weights(%w)          %z = heddle.linear %a weights(%w) residual(%x)
//   %z = heddle.add %x, %y                 →
//
// and the same for a rms_norm that stands between (sandwich norms). The stream is updated in place, one pass over memory less.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"

using namespace mlir;
using namespace heddle::ir;

namespace {
struct FuseResidual : heddle::ModulePass<FuseResidual> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseResidual)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-residual";
  static constexpr llvm::StringLiteral summary = "fold residual sums into the product or norm before them";

  static bool accepts(Value value) {
    if (!value.hasOneUse())
      return false;
    if (auto linear = value.getDefiningOp<LinearOp>())
      return linear.getResults().size() == 1 && !linear.getResidual() && !linear.getGate();
    if (auto norm = value.getDefiningOp<RmsNormOp>())
      return !norm.getResidual() && norm.getGroups() == 1;
    return false;
  }

  void runOnOperation() override {
    getOperation().walk([&](AddOp add) {
      Value term = add.getRhs(), residual = add.getLhs();
      if (!accepts(term))
        std::swap(term, residual);
      if (!accepts(term))
        return;
      Operation *producer = term.getDefiningOp();
      producer->moveBefore(add); // the residual may be defined after the producer
      if (auto linear = dyn_cast<LinearOp>(producer))
        linear.getResidualMutable().assign(residual);
      else
        cast<RmsNormOp>(producer).getResidualMutable().assign(residual);
      add.getResult().replaceAllUsesWith(term);
      add.erase();
    });
  }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseResidualPass() { return std::make_unique<FuseResidual>(); }
