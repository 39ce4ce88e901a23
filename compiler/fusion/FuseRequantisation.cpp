//===- FuseRequantisation.cpp - quantise as the producer stores ------------------------------------------------------===//
//
//   %h = heddle.rms_norm %x, %w … : … -> tensor<?x576xf32>
//   %q = heddle.quantize %h                                    →   %q = heddle.rms_norm %x, %w … : … -> tensor<?x576x!heddle.q8>
//
// The same for whatever says that it can (ComputeOp): gated products, attention. Saves writing and reading f32, and what crosses
// ranks is 40 bytes for 32 features instead of 128. Attention only where a head is whole 32-blocks: a rank's share must end on
// one.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/fusion/Fusion.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct QuantizeAsStored : OpRewritePattern<QuantizeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(QuantizeOp quantize, PatternRewriter &rewriter) const override {
    auto result = dyn_cast<OpResult>(quantize.getInput());
    auto producer = result ? dyn_cast<ComputeOp>(result.getOwner()) : ComputeOp();
    if (!producer || !producer.canStoreQuantized(result.getResultNumber()))
      return rewriter.notifyMatchFailure(quantize, "what makes its input cannot store q8");
    if (!quantize.getInput().hasOneUse())
      return rewriter.notifyMatchFailure(quantize, "its input is used as f32 too");
    Value value = quantize.getInput();
    rewriter.modifyOpInPlace(producer, [&] { value.setType(quantize.getResult().getType()); });
    rewriter.replaceOp(quantize, value);
    return success();
  }
};

struct FuseRequantisation : FusionPass<FuseRequantisation> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseRequantisation)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-requantisation";
  static constexpr llvm::StringLiteral summary = "fold quantisation into the op that made the activations";
  static void addPatterns(RewritePatternSet &patterns) { patterns.add<QuantizeAsStored>(patterns.getContext()); }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseRequantisationPass() { return std::make_unique<FuseRequantisation>(); }
