//===- FuseGate.cpp - act(x·G)·(x·U) as the epilogue of one product -------------------------------------------------===//
//
//   %g = heddle.linear %h weights(%wg)
//   %u = heddle.linear %h weights(%wu)
//   %a = heddle.activate silu %g                     →   %m = heddle.linear %h weights(%wg, %wu) gate silu
//   %m = heddle.mul %a, %u
//
// Where up goes through a function too, it becomes `up`. Experts that the same choices name are fused in the same way. Gate and
// up never reach memory: a tile computes the same rows of both and multiplies them in registers.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/fusion/Fusion.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct GateIntoProduct : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp mul, PatternRewriter &rewriter) const override {
    Value gate = mul.getLhs(), up = mul.getRhs();
    if (!gate.getDefiningOp<ActivateOp>())
      std::swap(gate, up);
    auto activate = gate.getDefiningOp<ActivateOp>();
    if (!activate)
      return rewriter.notifyMatchFailure(mul, "neither factor is an activation");
    auto upActivate = up.getDefiningOp<ActivateOp>();
    auto gated = activate.getInput().getDefiningOp<LinearOp>(),
         other = (upActivate ? upActivate.getInput() : up).getDefiningOp<LinearOp>();
    if (!gated || !other || gated == other)
      return rewriter.notifyMatchFailure(mul, "its factors do not come from two products");
    for (LinearOp linear : {gated, other}) {
      if (linear.getWeights().size() != 1 || linear.getResidual() || linear.getGate() || linear.getActivation() ||
          linear.getScale())
        return rewriter.notifyMatchFailure(mul, "a product of its factors has several weights or an epilogue already");
      if (!linear->hasOneUse())
        return rewriter.notifyMatchFailure(mul, "a product of its factors is used elsewhere too");
    }
    if (!activate->hasOneUse() || (upActivate && !upActivate->hasOneUse()))
      return rewriter.notifyMatchFailure(mul, "the activation is used elsewhere too");
    if (gated.getInput() != other.getInput())
      return rewriter.notifyMatchFailure(mul, "the two products have different inputs");
    if (gated.getExperts() != other.getExperts() || gated.getByChoice() != other.getByChoice())
      return rewriter.notifyMatchFailure(mul, "the two products are of different experts");
    Value weights[] = {gated.getWeights()[0], other.getWeights()[0]};
    if (isQuantized(getElementTypeOrSelf(weights[0])) != isQuantized(getElementTypeOrSelf(weights[1])))
      return rewriter.notifyMatchFailure(mul, "one weight is quantised and one is not: they take different activations");
    if (gated.getBiases().size() != other.getBiases().size())
      return rewriter.notifyMatchFailure(mul, "one product has a bias and one has not");
    SmallVector<Value> biases(gated.getBiases());
    biases.append(other.getBiases().begin(), other.getBiases().end());
    Type result = mul.getResult().getType();
    SmallVector<Location> locations{gated.getLoc(), other.getLoc(), activate.getLoc(), mul.getLoc()};
    if (upActivate)
      locations.push_back(upActivate.getLoc());
    auto fused = rewriter.create<LinearOp>(rewriter.getFusedLoc(locations),
                                           LinearSpec{.results = result,
                                                      .input = gated.getInput(),
                                                      .weights = weights,
                                                      .biases = biases,
                                                      .gate = activate.getFunction(),
                                                      .up = upActivate ? std::optional(upActivate.getFunction()) : std::nullopt,
                                                      .experts = gated.getExperts(),
                                                      .byChoice = gated.getByChoice()});
    rewriter.replaceOp(mul, fused.getResults());
    for (Operation *op : {activate.getOperation(), upActivate.getOperation(), gated.getOperation(), other.getOperation()})
      if (op)
        rewriter.eraseOp(op);
    return success();
  }
};

struct FuseGate : FusionPass<FuseGate> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseGate)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-gate";
  static constexpr llvm::StringLiteral summary = "fold gated activations into their product";
  static void addPatterns(RewritePatternSet &patterns) { patterns.add<GateIntoProduct>(patterns.getContext()); }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseGatePass() { return std::make_unique<FuseGate>(); }
