//===- FuseSharedInput.cpp - products that read the same activations become one --------------------------------------===//
//
//   %q = heddle.linear %h weights(%wq)            %q, %k, %v = heddle.linear %h weights(%wq, %wk, %wv)
//   %k = heddle.linear %h weights(%wk)      →
//   %v = heddle.linear %h weights(%wv)
//
// One kernel instead of three: threads share all rows evenly (a KV head alone is too small to split) and wait once. Weights of
// quantised and of float formats stay apart, as they take different activations, and so do products with and without a bias.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/fusion/Fusion.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct MergeProducts : OpRewritePattern<LinearOp> {
  using OpRewritePattern::OpRewritePattern;

  static bool isPlain(LinearOp op) {
    return !op.getResidual() && !op.getExperts() && !op.getGate() && !op.getActivation() && !op.getScale() &&
           op.getShares().empty() && isa<RankedTensorType>(op.getInput().getType());
  }
  static bool isQuantizedProduct(LinearOp op) { return isQuantized(getElementTypeOrSelf(op.getWeights()[0].getType())); }

  LogicalResult matchAndRewrite(LinearOp first, PatternRewriter &rewriter) const override {
    if (!isPlain(first))
      return rewriter.notifyMatchFailure(first, "it has an epilogue or experts");
    SmallVector<LinearOp> ops;
    for (Operation *user : first.getInput().getUsers()) {
      auto other = dyn_cast<LinearOp>(user);
      if (!other || other == first || other->getBlock() != first->getBlock() || other.getInput() != first.getInput() ||
          llvm::is_contained(ops, other))
        continue;
      if (!isPlain(other))
        continue;
      if (isQuantizedProduct(other) != isQuantizedProduct(first)) {
        (void)rewriter.notifyMatchFailure(other, "one weight is quantised and one is not: they take different activations");
        continue;
      }
      if (other.getBiases().empty() != first.getBiases().empty()) {
        (void)rewriter.notifyMatchFailure(other, "one product has a bias and one has not");
        continue;
      }
      if (other->isBeforeInBlock(first))
        return rewriter.notifyMatchFailure(first, "an earlier product of the same input takes it along, or cannot");
      if (!canStandAt(first, other)) {
        (void)rewriter.notifyMatchFailure(other, "its weight is made after the first product of that input");
        continue;
      }
      ops.push_back(other);
    }
    if (ops.empty())
      return rewriter.notifyMatchFailure(first, "no other product reads its input");
    llvm::sort(ops, [](LinearOp a, LinearOp b) { return a->isBeforeInBlock(b); });
    ops.insert(ops.begin(), first);
    SmallVector<Value> weights, biases;
    SmallVector<Type> types;
    SmallVector<Location> locations;
    for (LinearOp op : ops) {
      for (Value operand : llvm::concat<Value>(SmallVector<Value>(op.getWeights()), SmallVector<Value>(op.getBiases())))
        if (Operation *made = operand.getDefiningOp(); made && !made->isBeforeInBlock(first))
          rewriter.moveOpBefore(made, first);
      weights.append(op.getWeights().begin(), op.getWeights().end());
      biases.append(op.getBiases().begin(), op.getBiases().end());
      types.append(op->result_type_begin(), op->result_type_end());
      locations.push_back(op.getLoc());
    }
    rewriter.setInsertionPoint(first);
    auto merged =
        rewriter.create<LinearOp>(rewriter.getFusedLoc(locations),
                                  LinearSpec{.results = types, .input = first.getInput(), .weights = weights, .biases = biases});
    unsigned at = 0;
    for (LinearOp op : ops) {
      unsigned count = op.getNumResults();
      rewriter.replaceOp(op, merged.getResults().slice(at, count));
      at += count;
    }
    return success();
  }

  /// Its weights are there before the first product, or can be: a heddle.get has no operands.
  static bool canStandAt(LinearOp first, LinearOp other) {
    auto ready = [&](Value operand) {
      Operation *made = operand.getDefiningOp();
      return !made || made->getBlock() != first->getBlock() || made->isBeforeInBlock(first) || isa<GetOp>(made);
    };
    return llvm::all_of(other.getWeights(), ready) && llvm::all_of(other.getBiases(), ready);
  }
};

struct FuseSharedInput : FusionPass<FuseSharedInput> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseSharedInput)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-shared-input";
  static constexpr llvm::StringLiteral summary = "merge products of the same activations";
  static void addPatterns(RewritePatternSet &patterns) { patterns.add<MergeProducts>(patterns.getContext()); }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseSharedInputPass() { return std::make_unique<FuseSharedInput>(); }
