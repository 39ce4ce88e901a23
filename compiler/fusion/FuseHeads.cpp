//===- FuseHeads.cpp - head norm, RoPE and the cache write move next to attention ------------------------------------===//
//
//   %q1 = heddle.rms_norm %q …  groups            heddle.store_kv keys(%k) values(%v) state @kv k_norm(…) {rope = @rope}
//   %q2 = heddle.rope interleaved %q1 …       →   %a = heddle.attention paged query(%q) state @kv q_norm(…) {rope = @rope}
//   (the same for %k)
//   %a = heddle.attention batch query(%q2) keys(%k2) values(%v) state @kv
//
// Attention becomes one online-softmax op over the cache alone, so that a token's result cannot depend on which keys arrived in
// the same step. Keys that no state keeps go into a transient one, which lasts for the step:
//
//   %a = heddle.attention batch query(%q)             heddle.state transient @transient heads 12 kv_heads 12 head_dim 64
//        keys(%k) values(%v) {mask none}       →      heddle.store_kv keys(%k) values(%v) state @transient
//                                                     %a = heddle.attention transient query(%q) state @transient {mask none}
//
// Norm and rotation work on one head at a time and are done where the head is in registers.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/fusion/Fusion.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
/// A head's way from its projection to attention: [rms_norm over heads] [rope].
struct Prologue {
  Value raw, norm;
  SmallVector<Location> locations; // of the ops taken over
  std::optional<float> eps;
  FlatSymbolRefAttr table;
  std::optional<RopeStyle> style;
};

struct SplitAttention : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  static Prologue peel(Value value, int64_t heads, PatternRewriter &rewriter) {
    Prologue p{value, Value(), {}, {}, FlatSymbolRefAttr(), {}};
    if (auto rope = p.raw.getDefiningOp<RopeOp>()) {
      if (!rope->hasOneUse() || static_cast<int64_t>(rope.getHeads()) != heads) {
        (void)rewriter.notifyMatchFailure(rope, "the rotation is of other heads or used elsewhere too");
        return p;
      }
      p.raw = rope.getInput(), p.table = rope.getTableAttr(), p.style = rope.getStyle();
      p.locations.push_back(rope.getLoc());
    }
    if (auto norm = p.raw.getDefiningOp<RmsNormOp>()) {
      if (!norm->hasOneUse() || static_cast<int64_t>(norm.getGroups()) != heads || norm.getResidual()) {
        (void)rewriter.notifyMatchFailure(norm, "the norm is not of these heads alone, or used elsewhere too");
        return p;
      }
      p.raw = norm.getInput(), p.norm = norm.getWeight(), p.eps = norm.getEps().convertToFloat();
      p.locations.push_back(norm.getLoc());
    }
    return p;
  }

  /// The state that the keys go to. One transient state serves all attention of one geometry: a kernel's keys are read before the
  /// next kernel writes its own.
  static StateOp stateOf(AttentionOp op, PatternRewriter &rewriter) {
    auto module = op->getParentOfType<ModuleOp>();
    if (op.getState())
      return module.lookupSymbol<StateOp>(*op.getState());
    std::string name = "transient";
    for (int n = 2; Operation *taken = module.lookupSymbol(name); ++n) {
      auto state = dyn_cast<StateOp>(taken);
      if (state && state.getKind() == ir::StateKind::Transient && state.getHeads() == op.getHeads() &&
          state.getKvHeads() == op.getKvHeads() && state.getHeadDim() == op.getHeadDim())
        return state;
      name = "transient_" + std::to_string(n);
    }
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(*module.getOps<func::FuncOp>().begin()); // declarations stand before the functions
    return rewriter.create<StateOp>(op.getLoc(), ir::StateKind::Transient, name,
                                    KvGeometry{1, static_cast<int64_t>(op.getHeads()), static_cast<int64_t>(op.getKvHeads()),
                                               static_cast<int64_t>(op.getHeadDim())});
  }

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    if (op.getSource() != KeySource::Batch)
      return rewriter.notifyMatchFailure(op, "its keys are in a state already");
    if (!op.getState() && (op.getBias() || op.getProbeHeads())) // whose columns are tokens of the step
      return rewriter.notifyMatchFailure(op, "a bias or probed weights tell the tokens of the step apart");
    StateOp state = stateOf(op, rewriter);
    Value query = op.getQuery(), keys = op.getKeys();
    Prologue q = peel(query, op.getHeads(), rewriter), k = peel(keys, op.getKvHeads(), rewriter);
    q.locations.insert(q.locations.begin(), op.getLoc());
    k.locations.insert(k.locations.begin(), op.getLoc());
    rewriter.create<StoreKvOp>(rewriter.getFusedLoc(k.locations), StoreKvSpec{.keys = k.raw,
                                                                              .values = op.getValues(),
                                                                              .layer = op.getLayer(),
                                                                              .keyNorm = k.norm,
                                                                              .state = FlatSymbolRefAttr::get(state),
                                                                              .kvHeads = static_cast<int64_t>(op.getKvHeads()),
                                                                              .headDim = static_cast<int64_t>(op.getHeadDim()),
                                                                              .normEps = k.eps,
                                                                              .rope = k.table,
                                                                              .style = k.style});
    rewriter.modifyOpInPlace(op, [&] {
      op->setLoc(rewriter.getFusedLoc(q.locations));
      op.setSource(state.getKind() == ir::StateKind::Paged ? KeySource::Paged : KeySource::Transient);
      op.setStateAttr(FlatSymbolRefAttr::get(state));
      op.getQueryMutable().assign(q.raw);
      op.getKeysMutable().clear();
      op.getValuesMutable().clear();
      if (q.norm) {
        op.getQNormMutable().assign(q.norm);
        op.setNormEpsAttr(rewriter.getF32FloatAttr(*q.eps));
      }
      if (q.table) {
        op.setRopeAttr(q.table);
        op.setStyleAttr(RopeStyleAttr::get(op.getContext(), *q.style));
      }
    });
    for (Value value : {query, keys}) // what the prologue took over
      while (Operation *made = value.getDefiningOp()) {
        if (!made->use_empty() || !isa<RopeOp, RmsNormOp>(made))
          break;
        value = made->getOperand(0);
        rewriter.eraseOp(made);
      }
    return success();
  }
};

struct FuseHeads : FusionPass<FuseHeads> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseHeads)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-heads";
  static constexpr llvm::StringLiteral summary = "split attention into a cache write and online softmax over the cache";
  static void addPatterns(RewritePatternSet &patterns) { patterns.add<SplitAttention>(patterns.getContext()); }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseHeadsPass() { return std::make_unique<FuseHeads>(); }
