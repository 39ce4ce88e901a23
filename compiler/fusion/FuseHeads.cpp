//===- FuseHeads.cpp - head norm, RoPE and the cache write move next to attention ------------------------------------===//
//
//   %q1 = heddle.rms_norm %q …  groups            heddle.store_kv keys(%k) values(%v) … state @kv k_norm(…) {rope = @rope}
//   %q2 = heddle.rope interleaved %q1 …       →   %a = heddle.attention paged query(%q) … state @kv q_norm(…) {rope = @rope}
//   (the same for %k)
//   %a = heddle.attention batch query(%q2) keys(%k2) values(%v) … state @kv
//
// Attention becomes one online-softmax op over the cache alone, so that a token's result cannot depend on which keys arrived in
// the same step. Norm and rotation work on one head at a time and are done where the head is in registers.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"

using namespace mlir;
using namespace heddle::ir;

namespace {
/// A head's way from its projection to attention: [rms_norm over heads] [rope].
struct Prologue {
  Value raw, norm;
  FloatAttr eps;
  FlatSymbolRefAttr table;
  RopeStyleAttr style;
};

Prologue peel(Value value, int64_t heads, Value positions) {
  Prologue p{value, Value(), FloatAttr(), FlatSymbolRefAttr(), RopeStyleAttr()};
  if (auto rope = p.raw.getDefiningOp<RopeOp>();
      rope && rope->hasOneUse() && static_cast<int64_t>(rope.getHeads()) == heads && rope.getPositions() == positions) {
    p.raw = rope.getInput(), p.table = rope.getTableAttr(), p.style = rope.getStyleAttr();
  }
  if (auto norm = p.raw.getDefiningOp<RmsNormOp>();
      norm && norm->hasOneUse() && static_cast<int64_t>(norm.getGroups()) == heads && !norm.getResidual()) {
    p.raw = norm.getInput(), p.norm = norm.getWeight(), p.eps = norm.getEpsAttr();
  }
  return p;
}

struct FuseHeads : heddle::ModulePass<FuseHeads> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseHeads)
  static constexpr llvm::StringLiteral flag = "heddle-fuse-heads";
  static constexpr llvm::StringLiteral summary = "split attention into a cache write and online softmax over the cache";

  void runOnOperation() override {
    getOperation().walk([&](AttentionOp op) {
      if (op.getSource() != KeySource::Batch || !op.getState() || op.getOut())
        return;
      OpBuilder b(op);
      Prologue q = peel(op.getQuery(), op.getHeads(), op.getPositions()),
               k = peel(op.getKeys(), op.getKvHeads(), op.getPositions());
      b.create<StoreKvOp>(op.getLoc(), k.raw, op.getValues(), op.getPositions(), op.getSequences(), op.getPageTable(),
                          op.getLayer(), k.norm, ValueRange{}, op.getStateAttr(), op.getKvHeadsAttr(), op.getHeadDimAttr(), k.eps,
                          k.table, k.style);
      auto paged = b.create<AttentionOp>(
          op.getLoc(), op.getResultTypes(), q.raw, Value(), Value(), op.getPositions(), op.getSequences(), op.getPageTable(),
          op.getLayer(), q.norm, op.getBias(), ValueRange{}, Value(), KeySourceAttr::get(b.getContext(), KeySource::Paged),
          op.getStateAttr(), op.getHeadsAttr(), op.getKvHeadsAttr(), op.getHeadDimAttr(), op.getScaleAttr(), op.getMaskAttr(),
          op.getWindowAttr(), op.getSoftCapAttr(), q.eps, q.table, q.style, op.getProbeHeadsAttr());
      SmallVector<Value> chain{op.getQuery(), op.getKeys()};
      op->replaceAllUsesWith(paged->getResults());
      op->erase();
      for (Value value : chain) // what the prologue took over
        while (Operation *definition = value.getDefiningOp()) {
          if (!definition->use_empty() || !isa<RopeOp, RmsNormOp>(definition))
            break;
          value = definition->getOperand(0);
          definition->erase();
        }
    });
  }
};
} // namespace

std::unique_ptr<Pass> heddle::createFuseHeadsPass() { return std::make_unique<FuseHeads>(); }
