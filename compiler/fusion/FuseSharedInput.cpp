//===- FuseSharedInput.cpp - products that read the same activations become one --------------------------------------===//
//
//   %q = heddle.linear %h weights(%wq)            %q, %k, %v = heddle.linear %h weights(%wq, %wk, %wv)
//   %k = heddle.linear %h weights(%wk)      →
//   %v = heddle.linear %h weights(%wv)
//
// One kernel instead of three: threads share all rows evenly (a KV head alone is too small to split) and wait once. Gate and up
// meet the same way. Weights of quantised and of float formats stay apart, as they take different activations.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace heddle::ir;

namespace {
struct FuseSharedInput : heddle::ModulePass<FuseSharedInput> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseSharedInput)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-shared-input";
  static constexpr llvm::StringLiteral summary = "merge products of the same activations";

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      llvm::MapVector<std::pair<Value, unsigned>, SmallVector<LinearOp>> groups;
      function.walk([&](LinearOp op) {
        if (op.getWeights().size() == 1 && !op.getResidual() && op.getShares().empty() &&
            isa<RankedTensorType>(op.getInput().getType()))
          groups[{op.getInput(), isQuantized(getElementTypeOrSelf(op.getWeights()[0].getType()))}].push_back(op);
      });
      for (auto &[key, ops] : groups)
        if (ops.size() > 1)
          merge(ops);
    }
  }

  static void merge(SmallVector<LinearOp> &ops) {
    SmallVector<Value> weights;
    SmallVector<Type> types;
    for (LinearOp op : ops) {
      Value weight = op.getWeights()[0];
      if (Operation *definition = weight.getDefiningOp())
        definition->moveBefore(ops.front()); // a heddle.get
      weights.push_back(weight);
      types.push_back(op.getResult(0).getType());
    }
    OpBuilder builder(ops.front());
    auto merged =
        builder.create<LinearOp>(ops.front().getLoc(), types, ops.front().getInput(), weights, Value(), ValueRange{},
                                 ValueRange{}, ActivationAttr(), ArrayAttr(), DenseI64ArrayAttr(), DenseI64ArrayAttr(), false);
    for (auto [i, op] : llvm::enumerate(ops)) {
      Operation *old = op;
      old->getResult(0).replaceAllUsesWith(merged.getResult(i));
      old->erase();
    }
  }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseSharedInputPass() { return std::make_unique<FuseSharedInput>(); }
