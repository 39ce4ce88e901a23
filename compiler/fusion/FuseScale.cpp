//===- FuseScale.cpp - a constant factor as an epilogue -------------------------------------------------------------===//
//
//   %y = heddle.linear %a weights(%w)          %z = heddle.linear %a weights(%w) scale 0.22
//   %z = heddle.scale %y by 0.22           →
//
// Before residuals are folded: the sum then takes the scaled product (Granite's blocks), or the factor ends in the logits.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/fusion/Fusion.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct ScaleIntoProduct : OpRewritePattern<ScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScaleOp scale, PatternRewriter &rewriter) const override {
    auto linear = scale.getInput().getDefiningOp<LinearOp>();
    if (!linear)
      return rewriter.notifyMatchFailure(scale, "its input is no product");
    if (linear.getResults().size() != 1)
      return rewriter.notifyMatchFailure(scale, "the product has several results");
    if (linear.getResidual() || linear.getGate() || linear.getScale())
      return rewriter.notifyMatchFailure(scale, "the product has an epilogue already");
    if (!linear->hasOneUse())
      return rewriter.notifyMatchFailure(scale, "the product is used elsewhere too");
    rewriter.modifyOpInPlace(linear, [&] {
      linear.setScaleAttr(scale.getByAttr());
      linear->setLoc(rewriter.getFusedLoc({linear.getLoc(), scale.getLoc()}));
    });
    rewriter.replaceOp(scale, linear.getResults());
    return success();
  }
};

struct FuseScale : FusionPass<FuseScale> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseScale)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-scale";
  static constexpr llvm::StringLiteral summary = "fold constant factors into the product before them";
  static void addPatterns(RewritePatternSet &patterns) { patterns.add<ScaleIntoProduct>(patterns.getContext()); }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseScalePass() { return std::make_unique<FuseScale>(); }
