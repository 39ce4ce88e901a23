//===- ExpertLoops.cpp - choosing experts, and the sum of what they make ---------------------------------------------===//
//
//   heddle.choose_experts %scores choices 2 of 8 outs(%weights, %experts)
// →
//   scf.for %t = %first to %last {        // this thread's tokens
//     … twice the best of what is left, then the chosen ones by increasing number, then their softmax …
//   }
//
//   heddle.sum_experts %x weights(%weights) choices 2 residual(%r) outs(%y)
// →
//   scf.for %item = %first to %last {     // this thread's parts of rows
//     … 16 features at a time: math.fma over the choices, then the residual …
//   }
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/kernels/Items.h"
#include "compiler/kernels/KernelLoops.h"
#include "compiler/lowering/Tiles.h"
#include "runtime/math/Functions.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// Features of a row that are one item of work: a step of one token shares them over threads.
constexpr int64_t kFeatures = 128;

static Value asInteger(Emit &e, Value index) { return e.b.create<arith::IndexCastOp>(e.loc, e.b.getI32Type(), index); }

/// Marks the chosen experts: taken [experts] i32, 1 or 0. Of equal scores the first is the best; where all that is left is NaN,
/// the first of them.
static void choose(Emit &e, ChooseExpertsOp op, Value token, Value taken) {
  Value zero = e.index(0), experts = e.index(op.getExperts());
  auto put = [&](Emit &e, Value x, Value at) { e.b.create<memref::StoreOp>(e.loc, x, taken, ValueRange{at}); };
  e.forLoop(zero, experts, 1, [&](Emit &e, Value x) { put(e, e.i32(0), x); });
  e.forLoop(zero, e.index(op.getChoices()), 1, [&](Emit &e, Value) {
    Value best = e.forCarrying(zero, experts, 1, {experts, e.f32(0)}, [&](Emit &e, Value x, ValueRange before) {
      Value score = e.b.create<memref::LoadOp>(e.loc, op.getScores(), ValueRange{token, x});
      Value left = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, e.loadScalar(taken, x), e.i32(0));
      Value none = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, before[0], experts);
      Value larger = e.b.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::OGT, score, before[1]);
      Value better = e.b.create<arith::AndIOp>(e.loc, left, e.b.create<arith::OrIOp>(e.loc, none, larger));
      return SmallVector<Value>{e.select(better, x, before[0]), e.select(better, score, before[1])};
    })[0];
    put(e, e.i32(1), best);
  });
}

/// `columns` of a row of scores as 16 lanes at a time, −∞ beyond them.
static Value scoresAt(Emit &e, Value scores, Value row, Value column, int64_t columns) {
  Value mask =
      e.b.create<vector::CreateMaskOp>(e.loc, e.vectorType(16, e.b.getI1Type()), ValueRange{e.sub(e.index(columns), column)});
  return e.select(mask, e.load(scores, {row, column}), e.lanes(-INFINITY));
}

LogicalResult heddle::emitChooseExperts(ChooseExpertsOp op, Emit &e, const LoopShape &) {
  const int64_t experts = op.getExperts(), choices = op.getChoices();
  Value weights = op.getOuts()[0], chosen = op.getOuts()[1];
  Value taken = e.stackBuffer(op, MemRefType::get({experts}, e.b.getI32Type()));
  forItems(e, e.dim(op.getScores()), [&](Emit &e, Value t) {
    choose(e, op, t, taken);
    // Their numbers, and for now their scores, in increasing number.
    e.forCarrying(e.index(0), e.index(experts), 1, {e.index(0)}, [&](Emit &e, Value x, ValueRange place) {
      Value is = e.loadScalar(taken, x);
      Value condition = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::ne, is, e.i32(0));
      auto branch = e.b.create<scf::IfOp>(e.loc, condition, /*withElseRegion=*/false);
      OpBuilder then = branch.getThenBodyBuilder();
      Emit in{then, e.loc};
      then.create<memref::StoreOp>(e.loc, asInteger(in, x), chosen, ValueRange{t, place[0]});
      Value score = then.create<memref::LoadOp>(e.loc, op.getScores(), ValueRange{t, x});
      then.create<memref::StoreOp>(e.loc, score, weights, ValueRange{t, place[0]});
      return SmallVector<Value>{e.add(place[0], e.b.create<arith::IndexCastOp>(e.loc, e.b.getIndexType(), is))};
    });
    // softmax, over the chosen or over all
    const int64_t columns = op.getOverAll() ? experts : choices;
    Value from = op.getOverAll() ? Value(op.getScores()) : weights;
    Value zero = e.index(0);
    Value largest = e.forCarrying(zero, e.index(columns), 16, {e.lanes(-INFINITY)}, [&](Emit &e, Value c, ValueRange best) {
      Value s = scoresAt(e, from, t, c, columns);
      return SmallVector<Value>{EmitOps{e, e.lanesType()}.selectLess(best[0], s, s, best[0])};
    })[0];
    Value m = e.splat(e.b.create<vector::ReductionOp>(e.loc, vector::CombiningKind::MAXNUMF, largest));
    auto p = [&](Emit &e, Value s) { return math::exp(EmitOps{e, e.lanesType()}, e.subf(s, m)); };
    Value sums = e.forCarrying(zero, e.index(columns), 16, {e.lanes(0)}, [&](Emit &e, Value c, ValueRange sum) {
      return SmallVector<Value>{e.addf(sum[0], p(e, scoresAt(e, from, t, c, columns)))};
    })[0];
    Value sum = e.splat(foldLanes(e, sums));
    e.forLoop(zero, e.index(lastDim(weights.getType())), 16,
              [&](Emit &e, Value c) { e.store(e.divf(p(e, scoresAt(e, weights, t, c, choices)), sum), weights, {t, c}); });
  });
  return success();
}

LogicalResult heddle::emitSumExperts(SumExpertsOp op, Emit &e, const LoopShape &) {
  const int64_t features = lastDim(op.getOut().getType()), parts = llvm::divideCeil(features, kFeatures);
  const bool q8 = isQ8(op.getOut().getType());
  Value choices = e.index(op.getChoices());
  auto lanesAt = [&](Emit &e, Value t, Value column) {
    Value first = e.mul(t, choices);
    Value sum = e.forCarrying(e.index(0), choices, 1, {e.lanes(0)}, [&](Emit &e, Value c, ValueRange before) {
      Value weight = e.b.create<memref::LoadOp>(e.loc, op.getWeights(), ValueRange{t, c});
      return SmallVector<Value>{e.fma(e.splat(weight), e.load(op.getInput(), {e.add(first, c), column}), before[0])};
    })[0];
    return op.getResidual() ? e.addf(e.load(op.getResidual(), {t, column}), sum) : sum;
  };
  forItems(e, e.mul(e.dim(op.getOut()), e.index(parts)), [&](Emit &e, Value item) {
    Value t = e.div(item, e.index(parts)), from = e.mul(e.rem(item, e.index(parts)), e.index(kFeatures));
    Value to = e.minimum(e.add(from, e.index(kFeatures)), e.index(features));
    e.forLoop(from, to, q8 ? 32 : 16, [&](Emit &e, Value column) {
      Value low = lanesAt(e, t, column);
      if (!q8)
        return e.store(low, op.getOut(), {t, column});
      Value high = lanesAt(e, t, e.add(column, e.index(16)));
      e.b.create<TileQuantizeOp>(e.loc, low, high, op.getOut(), t, e.div(column, e.index(32)));
    });
  });
  return success();
}
