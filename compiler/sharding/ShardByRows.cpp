//===- ShardByRows.cpp - every rank computes its share of heads, rows and vocabulary --------------------------------===//
//
//   %a = heddle.attention paged query(%q) …        %b, %e = heddle.share 9 group 1 kv false at %rank, %ranks
//   %x2 = heddle.linear %a weights(%w)         →   %a = heddle.attention … shares(%b, %e, …) : … tensor<…, #heddle.shard<heads,
//   64>>
//                                                  %aw = heddle.all_gather %a
//                                                  %x2 = heddle.linear %aw weights(%w) shares(…) : … #heddle.shard<columns, 16>
//
// The cut follows from what an op is and who reads it, never from a model family: products by output rows (heads where attention
// reads them, 32 rows where the result is requantised, 1,024 where it is logits, else 16), attention by heads; everything else is
// cheap and done whole by every rank. (rank, ranks) are arguments, so one plan serves any number of ranks; nothing is ever added
// across ranks.
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
    Type index = IndexType::get(&getContext());
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal()) {
        function.emitError("function ") << function.getName() << " has no body: it cannot be sharded";
        return signalPassFailure();
      }
      for (const char *name : {"rank", "ranks"})
        function.insertArgument(function.getNumArguments(), index,
                                DictionaryAttr::get(&getContext(), NamedAttribute(StringAttr::get(&getContext(), "heddle.name"),
                                                                                  StringAttr::get(&getContext(), name))),
                                function.getLoc());
    }
    getOperation().walk([](func::CallOp call) {
      auto caller = call->getParentOfType<func::FuncOp>();
      unsigned n = caller.getNumArguments();
      call.getOperandsMutable().append({caller.getArgument(n - 2), caller.getArgument(n - 1)});
    });
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      SmallVector<Operation *> ops;
      function.walk([&](Operation *op) {
        if (isa<LinearOp, AttentionOp, StoreKvOp>(op) && isa<RankedTensorType>(op->getOperand(0).getType()))
          ops.push_back(op);
      });
      // Who reads a value decides its unit, so readers' kinds are looked at before anything is rewritten.
      for (Operation *op : ops)
        if (auto linear = dyn_cast<LinearOp>(op))
          shardLinear(linear);
      for (Operation *op : ops) {
        if (auto attention = dyn_cast<AttentionOp>(op))
          shardAttention(attention);
        if (auto store = dyn_cast<StoreKvOp>(op))
          shardStore(store);
      }
    }
    if (failed(declareShares()))
      signalPassFailure();
  }

  static std::pair<Value, Value> share(Operation *at, int64_t units, int64_t group, bool kv) {
    OpBuilder builder(at);
    auto function = at->getParentOfType<func::FuncOp>();
    unsigned n = function.getNumArguments();
    auto op = builder.create<ShareOp>(at->getLoc(), function.getArgument(n - 2), function.getArgument(n - 1), units, group, kv);
    return {op.getBegin(), op.getEnd()};
  }

  /// The unit of a product's result, from its readers.
  static ShardAttr unitOf(Value result, bool q8) {
    MLIRContext *context = result.getContext();
    for (OpOperand &use : result.getUses()) {
      if (auto attention = dyn_cast<AttentionOp>(use.getOwner()); attention && use.get() == attention.getQuery())
        return ShardAttr::get(context, Unit::Heads, attention.getHeadDim());
      if (auto store = dyn_cast<StoreKvOp>(use.getOwner()))
        return ShardAttr::get(context, Unit::KvHeads, store.getHeadDim());
      if (isa<func::ReturnOp>(use.getOwner()) && use.getOwner()->getParentOfType<func::FuncOp>().getName() == "step")
        return ShardAttr::get(context, Unit::Columns, kVocabularyUnit);
    }
    return ShardAttr::get(context, Unit::Columns, q8 ? kRequantisedUnit : kRowUnit);
  }

  static RankedTensorType sharded(Type type, ShardAttr shard) {
    auto tensor = cast<RankedTensorType>(type);
    return RankedTensorType::get(tensor.getShape(), tensor.getElementType(), shard);
  }

  /// Readers that need every feature see the gathered value; those that work on the rank's own share keep `value`.
  static void gather(Value value, Type whole, llvm::function_ref<bool(OpOperand &)> keeps) {
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : value.getUses())
      if (!keeps(use))
        uses.push_back(&use);
    if (uses.empty())
      return;
    auto op = builder.create<AllGatherOp>(value.getLoc(), whole, value, Value(), ShardAttr(), IntegerAttr());
    for (OpOperand *use : uses)
      use->set(op.getResult());
  }

  void shardLinear(LinearOp op) {
    SmallVector<Value> shares;
    SmallVector<std::pair<Value, Type>> wholes;
    for (auto [i, weight] : llvm::enumerate(op.getWeights())) {
      Value result = op.getResults()[op.getGate() ? 0 : i];
      ShardAttr shard = unitOf(result, isQ8(result.getType()));
      int64_t rows = cast<RankedTensorType>(weight.getType()).getDimSize(0);
      std::pair<Value, Value> range;
      if (shard.getUnit() == Unit::Heads)
        range = share(op, rows / shard.getSize(), 1, false);
      else if (shard.getUnit() == Unit::KvHeads) {
        int64_t heads = queryHeads(result);
        range = share(op, heads, heads / (rows / shard.getSize()), true);
      } else
        range = share(op, llvm::divideCeil(rows, shard.getSize()), 1, false);
      shares.append({range.first, range.second});
      shares_[weight].push_back(shard);
      if (!op.getGate() || i == 0) {
        wholes.push_back({result, result.getType()});
        result.setType(sharded(result.getType(), shard));
      }
    }
    op.getSharesMutable().assign(shares);
    for (auto [result, whole] : wholes)
      gather(result, whole, [](OpOperand &use) { return isa<AttentionOp, StoreKvOp>(use.getOwner()); });
  }

  /// Query heads of the state that a K or V projection is stored to.
  int64_t queryHeads(Value result) {
    for (Operation *user : result.getUsers())
      if (auto store = dyn_cast<StoreKvOp>(user))
        return getOperation().lookupSymbol<PagedStateOp>(store.getState()).getHeads();
    llvm_unreachable("a KV unit is only given to what store_kv reads");
  }

  void shardAttention(AttentionOp op) {
    int64_t group = op.getHeads() / op.getKvHeads();
    auto heads = share(op, op.getHeads(), 1, false), kv = share(op, op.getHeads(), group, true);
    op.getSharesMutable().assign({heads.first, heads.second, kv.first, kv.second});
    Value result = op.getResults()[0];
    Type whole = result.getType();
    result.setType(sharded(whole, ShardAttr::get(&getContext(), Unit::Heads, op.getHeadDim())));
    gather(result, whole, [](OpOperand &) { return false; });
  }

  void shardStore(StoreKvOp op) {
    auto state = getOperation().lookupSymbol<PagedStateOp>(op.getState());
    auto kv = share(op, state.getHeads(), state.getHeads() / state.getKvHeads(), true);
    op.getSharesMutable().assign({kv.first, kv.second});
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
        if (found != shares_.end() && isa<LinearOp, func::CallOp>(use.getOwner()))
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
      if (auto linear = dyn_cast<LinearOp>(op)) {
        linear.setWholeWeights(whole(linear.getWeights()[0]));
        for (Value weight : linear.getWeights())
          if (whole(weight) != linear.getWholeWeights())
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

  llvm::MapVector<Value, SmallVector<ShardAttr>> shares_; // the shares that products take of a weight value
};
} // namespace

std::unique_ptr<Pass> heddle::createShardByRowsPass() { return std::make_unique<ShardByRows>(); }
