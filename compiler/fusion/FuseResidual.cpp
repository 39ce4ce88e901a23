//===- FuseResidual.cpp - the residual sum as an epilogue -----------------------------------------------------------===//
//
//   %y = heddle.linear %a weights(%w)          %z = heddle.linear %a weights(%w) residual(%x)
//   %z = heddle.add %x, %y                 →
//
// and the same for whatever says that it can (ComputeOp): a rms_norm that stands between (sandwich norms). The stream is updated
// in place, one pass over memory less.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/fusion/Fusion.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct AddIntoProducer : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;

  static bool accepts(Value value) {
    auto producer = value.getDefiningOp<ComputeOp>();
    return producer && value.hasOneUse() && producer.takesResidual();
  }

  LogicalResult matchAndRewrite(AddOp add, PatternRewriter &rewriter) const override {
    Value term = add.getRhs(), residual = add.getLhs();
    if (!accepts(term))
      std::swap(term, residual);
    if (!accepts(term))
      return rewriter.notifyMatchFailure(add, "neither term is a product or norm without an epilogue that is used here alone");
    auto producer = term.getDefiningOp<ComputeOp>();
    if (producer->getBlock() != add->getBlock())
      return rewriter.notifyMatchFailure(add, "its term is made in another block");
    rewriter.moveOpBefore(producer, add); // the residual may be defined after the producer
    rewriter.modifyOpInPlace(producer, [&] {
      producer.setResidual(residual);
      producer->setLoc(rewriter.getFusedLoc({producer->getLoc(), add.getLoc()}));
    });
    rewriter.replaceOp(add, term);
    return success();
  }
};

struct FuseResidual : FusionPass<FuseResidual> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseResidual)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-residual";
  static constexpr llvm::StringLiteral summary = "fold residual sums into the product or norm before them";
  static void addPatterns(RewritePatternSet &patterns) { patterns.add<AddIntoProducer>(patterns.getContext()); }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseResidualPass() { return std::make_unique<FuseResidual>(); }
