//===- FuseActivation.cpp - an activation function as an epilogue ---------------------------------------------------===//
//
//   %y = heddle.linear %h weights(%w) biases(%b)
//   %z = heddle.activate gelu_tanh %y                →   %z = heddle.linear %h weights(%w) biases(%b) activate gelu_tanh
//
// After gates, which are activations too. The wide rows between a plain feed-forward's products (GPT-2's) then never reach memory
// as f32: what follows quantises them as they are stored.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/fusion/Fusion.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct ActivationIntoProduct : OpRewritePattern<ActivateOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ActivateOp activate, PatternRewriter &rewriter) const override {
    auto linear = activate.getInput().getDefiningOp<LinearOp>();
    if (!linear)
      return rewriter.notifyMatchFailure(activate, "its input is no product");
    if (linear.getResults().size() != 1)
      return rewriter.notifyMatchFailure(activate, "the product has several results");
    if (linear.getResidual() || linear.getGate() || linear.getActivation() || linear.getScale())
      return rewriter.notifyMatchFailure(activate, "the product has an epilogue already");
    if (!linear->hasOneUse())
      return rewriter.notifyMatchFailure(activate, "the product is used elsewhere too");
    rewriter.modifyOpInPlace(linear, [&] {
      linear.setActivationAttr(activate.getFunctionAttr());
      linear->setLoc(rewriter.getFusedLoc({linear.getLoc(), activate.getLoc()}));
    });
    rewriter.replaceOp(activate, linear.getResults());
    return success();
  }
};

struct FuseActivation : FusionPass<FuseActivation> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseActivation)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-activation";
  static constexpr llvm::StringLiteral summary = "fold activation functions into the product before them";
  static void addPatterns(RewritePatternSet &patterns) { patterns.add<ActivationIntoProduct>(patterns.getContext()); }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseActivationPass() { return std::make_unique<FuseActivation>(); }
