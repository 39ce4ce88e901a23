//===- ShardByRows.cpp - every rank computes its share of heads, rows and vocabulary --------------------------------===//
//
//   %a = heddle.attention paged query(%q) …        %b, %e = heddle.share 9
//   %x2 = heddle.linear %a weights(%w)         →   %a = heddle.attention … shares(%b, %e, …) : … tensor<…, #heddle.shard<heads,
//   64>>
//                                                  %aw = heddle.all_gather %a
//                                                  %x2 = heddle.linear %aw weights(%w) shares(…) : … #heddle.shard<columns, 16>
//
// The cut follows from what ops say of themselves (ComputeOp) and who reads them, never from a model family: products by output
// rows (heads where attention reads them, 32 rows where the result is requantised, 1,024 where an entry returns it, else 16),
// attention by heads; everything else is cheap and done whole by every rank. Which rank this is, is looked up when the step runs,
// so one plan serves any number of ranks; nothing is ever added across ranks.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace heddle::ir;

namespace {
constexpr int64_t kVocabularyUnit = 1024, kRequantisedUnit = 32, kRowUnit = 16;

struct ShardByRows : heddle::ModulePass<ShardByRows> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ShardByRows)
  static constexpr llvm::StringLiteral flag = "heddle-shard-by-rows";
  static constexpr llvm::StringLiteral summary = "cut products by output rows and attention by heads over (rank, ranks)";

  void runOnOperation() override {
    shares_.clear();
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function.isExternal()) {
        function.emitError("function ") << function.getName() << " has no body: it cannot be sharded";
        return signalPassFailure();
      }
    SmallVector<ComputeOp> ops;
    getOperation().walk([&](ComputeOp op) {
      if (!isOnBuffers(op))
        ops.push_back(op);
    });
    // Who reads a value decides its unit: all units are chosen before anything is rewritten.
    llvm::DenseMap<Value, ShardAttr> units;
    for (ComputeOp op : ops)
      for (OpResult result : op->getResults())
        if (isRows(result.getType()))
          units[result] = op.cut(result.getResultNumber(), wishOf(result));
    for (ComputeOp op : ops) {
      SmallVector<ShardAttr> own;
      for (Value result : op->getResults())
        own.push_back(units.lookup(result));
      SmallVector<Value> shares;
      OpBuilder builder(op);
      for (ShareOf of : op.shares(own)) {
        auto share =
            builder.create<ShareOp>(op.getLoc(), of.units, of.group ? builder.getI64IntegerAttr(of.group) : IntegerAttr());
        shares.append({share.getBegin(), share.getEnd()});
      }
      if (!shares.empty())
        op.setShares(shares);
      for (auto [weight, result] : op.rowWeights())
        shares_[weight].push_back(own[result]);
      for (auto [result, unit] : llvm::zip(op->getResults(), own))
        if (unit)
          cut(result, unit);
    }
    if (failed(declareShares()))
      signalPassFailure();
  }

  /// The unit that the first reader with a wish would like.
  static ShardAttr wishOf(Value result) {
    MLIRContext *context = result.getContext();
    for (OpOperand &use : result.getUses()) {
      if (auto reader = dyn_cast<ComputeOp>(use.getOwner()))
        if (ShardAttr unit = reader.unitRead(use))
          return unit;
      if (isa<func::ReturnOp>(use.getOwner()) && use.getOwner()->getParentOfType<func::FuncOp>().isPublic())
        return ShardAttr::get(context, Unit::Columns, kVocabularyUnit);
    }
    return ShardAttr::get(context, Unit::Columns, isQ8(result.getType()) ? kRequantisedUnit : kRowUnit);
  }

  /// Readers that need every feature see the gathered value; those that work on the rank's own share of these units keep `value`.
  static void cut(Value value, ShardAttr unit) {
    auto whole = cast<RankedTensorType>(value.getType());
    value.setType(RankedTensorType::get(whole.getShape(), whole.getElementType(), unit));
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : value.getUses()) {
      auto reader = dyn_cast<ComputeOp>(use.getOwner());
      if (!reader || reader.unitRead(use) != unit)
        uses.push_back(&use);
    }
    if (uses.empty())
      return;
    auto op = builder.create<AllGatherOp>(value.getLoc(), whole, value, ShardAttr(), IntegerAttr());
    for (OpOperand *use : uses)
      use->set(op.getResult());
  }

  /// Writes on each declared weight which rows a rank holds. A weight that is also read whole (an embedding table tied to the
  /// output head) stays whole on every rank, and its products then find their rows by absolute position.
  LogicalResult declareShares() {
    llvm::MapVector<WeightOp, SmallVector<ShardAttr>> wanted; // one entry per use; null: whole
    SymbolTable symbols(getOperation());
    getOperation().walk([&](GetOp get) {
      auto weight = symbols.lookup<WeightOp>(get.getWeight());
      for (OpOperand &use : get.getResult().getUses()) {
        Value inside = get.getResult();
        if (auto call = dyn_cast<func::CallOp>(use.getOwner()))
          inside = symbols.lookup<func::FuncOp>(call.getCallee()).getArgument(use.getOperandNumber());
        auto found = shares_.find(inside);
        if (found != shares_.end() && (isa<func::CallOp>(use.getOwner()) || readsRows(use)))
          wanted[weight].append(found->second);
        else
          wanted[weight].push_back(ShardAttr());
      }
    });
    for (auto &[weight, uses] : wanted)
      if (llvm::all_equal(uses) && uses.front())
        weight.setShareAttr(uses.front());
    auto whole = [&](Value value) {
      auto get = value.getDefiningOp<GetOp>();
      return get && !symbols.lookup<WeightOp>(get.getWeight()).getShareAttr();
    };
    // A product reads all of its weights in one way, and a block's weights are shares at every call.
    WalkResult result = getOperation().walk([&](Operation *op) -> WalkResult {
      if (auto compute = dyn_cast<ComputeOp>(op))
        if (auto weights = compute.rowWeights(); !weights.empty()) {
          bool first = whole(weights[0].first);
          compute.setWholeWeights(first);
          for (auto [weight, row] : weights)
            if (whole(weight) != first)
              return op->emitOpError("cannot be sharded yet: one of its weights is read whole elsewhere, one is not");
        }
      if (auto call = dyn_cast<func::CallOp>(op))
        for (auto [i, operand] : llvm::enumerate(call.getOperands()))
          if (whole(operand) && shares_.contains(symbols.lookup<func::FuncOp>(call.getCallee()).getArgument(i)))
            return op->emitOpError("cannot be sharded yet: operand ")
                   << i << " is a weight that is cut in this block and otherwise elsewhere";
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }

  static bool readsRows(OpOperand &use) {
    auto reader = dyn_cast<ComputeOp>(use.getOwner());
    return reader && llvm::any_of(reader.rowWeights(), [&](auto weight) { return weight.first == use.get(); });
  }

  llvm::MapVector<Value, SmallVector<ShardAttr>> shares_; // the shares that products take of a weight value
};
} // namespace

std::unique_ptr<Pass> heddle::createShardByRowsPass() { return std::make_unique<ShardByRows>(); }
