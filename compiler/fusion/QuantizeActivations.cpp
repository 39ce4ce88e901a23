//===- QuantizeActivations.cpp - quantised weights take quantised activations ---------------------------------------===//
//
//   %y = heddle.linear %x weights(%w : q4_1)   →   %xq = heddle.quantize %x
//                                                  %y = heddle.linear %xq weights(%w : q4_1)
//
// The step from exact mathematics to the one arithmetic: after it every product is exact in integers within a block of 32.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/fusion/Fusion.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct QuantizeInput : OpRewritePattern<LinearOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LinearOp op, PatternRewriter &rewriter) const override {
    auto input = dyn_cast<RankedTensorType>(op.getInput().getType());
    if (!input || isQ8(input))
      return rewriter.notifyMatchFailure(op, "its input is quantised already");
    if (!isQuantized(getElementTypeOrSelf(op.getWeights()[0].getType())))
      return rewriter.notifyMatchFailure(op, "its weights are floats and take f32");
    Value quantized;
    for (Operation *user : op.getInput().getUsers())
      if (auto known = dyn_cast<QuantizeOp>(user); known && known->getBlock() == op->getBlock() && known->isBeforeInBlock(op))
        quantized = known.getResult();
    if (!quantized) {
      auto type = RankedTensorType::get(input.getShape(), Q8Type::get(getContext())); // whole blocks, as the weight's rows are
      Operation *maker = op.getInput().getDefiningOp();                               // it stores the value so, if it can
      quantized = rewriter.create<QuantizeOp>(maker ? maker->getLoc() : op.getLoc(), type, op.getInput(), Value()).getResult();
    }
    rewriter.modifyOpInPlace(op, [&] { op.getInputMutable().assign(quantized); });
    return success();
  }
};

struct QuantizeActivations : FusionPass<QuantizeActivations> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(QuantizeActivations)
  static constexpr llvm::StringLiteral flag = "heddle-quantize-activations";
  static constexpr llvm::StringLiteral summary = "quantise the activations that quantised weights take";
  static void addPatterns(RewritePatternSet &patterns) { patterns.add<QuantizeInput>(patterns.getContext()); }
};
} // namespace

std::unique_ptr<Pass> heddle::createQuantizeActivationsPass() { return std::make_unique<QuantizeActivations>(); }
