//===- QuantizeActivations.cpp - quantised weights take quantised activations ---------------------------------------===//
//
//   %y = heddle.linear %x weights(%w : q4_1)   →   %xq = heddle.quantize %x
//                                                  %y = heddle.linear %xq weights(%w : q4_1)
//
// The step from exact mathematics to the one arithmetic: after it every product is exact in integers within a block of 32.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace heddle::ir;

namespace {
struct QuantizeActivations : heddle::ModulePass<QuantizeActivations> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(QuantizeActivations)
  static constexpr llvm::StringLiteral flag = "heddle-quantize-activations";
  static constexpr llvm::StringLiteral summary = "quantise the activations that quantised weights take";

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      llvm::DenseMap<Value, Value> quantized;
      function.walk([&](LinearOp op) {
        auto input = dyn_cast<RankedTensorType>(op.getInput().getType());
        if (!input || isQ8(input) || !isQuantized(getElementTypeOrSelf(op.getWeights()[0].getType())))
          return;
        Value &value = quantized[op.getInput()];
        if (!value) {
          OpBuilder builder(op);
          auto type = RankedTensorType::get(input.getShape(), Q8Type::get(&getContext()));
          value = builder.create<QuantizeOp>(op.getLoc(), type, op.getInput(), Value()).getResult();
        }
        op.getInputMutable().assign(value);
      });
    }
  }
};
} // namespace

std::unique_ptr<Pass> heddle::createQuantizeActivationsPass() { return std::make_unique<QuantizeActivations>(); }
