//===- FuseGate.cpp - act(x·G)·(x·U) as the epilogue of one product -------------------------------------------------===//
//
//   %g, %u = heddle.linear %h weights(%wg, %wu)
//   %a = heddle.activate silu %g                     →   %m = heddle.linear %h weights(%wg, %wu) gate silu
//   %m = heddle.mul %a, %u
//
// Gate and up never reach memory: a tile computes the same rows of both and multiplies them in registers.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"

using namespace mlir;
using namespace heddle::ir;

namespace {
struct FuseGate : heddle::ModulePass<FuseGate> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseGate)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-gate";
  static constexpr llvm::StringLiteral summary = "fold gated activations into their product";

  void runOnOperation() override {
    getOperation().walk([&](MulOp mul) {
      Value gate = mul.getLhs(), up = mul.getRhs();
      if (!gate.getDefiningOp<ActivateOp>())
        std::swap(gate, up);
      auto activate = gate.getDefiningOp<ActivateOp>();
      auto linear = up.getDefiningOp<LinearOp>();
      if (!activate || !linear || activate.getInput().getDefiningOp() != linear || linear.getWeights().size() != 2)
        return;
      if (activate.getInput() == up || !activate->hasOneUse() || !activate.getInput().hasOneUse() || !up.hasOneUse())
        return;
      SmallVector<Value> weights(linear.getWeights());
      if (activate.getInput() == linear.getResults()[1])
        std::swap(weights[0], weights[1]);
      OpBuilder builder(mul);
      auto fused = builder.create<LinearOp>(linear.getLoc(), TypeRange{mul.getType()}, linear.getInput(), weights, Value(),
                                            ValueRange{}, ValueRange{}, activate.getFunctionAttr(), ArrayAttr(),
                                            DenseI64ArrayAttr(), DenseI64ArrayAttr(), false);
      mul.getResult().replaceAllUsesWith(fused.getResult(0));
      mul.erase();
      activate.erase();
      linear->erase();
    });
  }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseGatePass() { return std::make_unique<FuseGate>(); }
