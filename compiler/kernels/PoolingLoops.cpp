//===- PoolingLoops.cpp - one row of each sequence, and rows of length 1 -------------------------------------------===//
#include "compiler/kernels/Items.h"
#include "compiler/kernels/KernelLoops.h"
#include "compiler/lowering/Tiles.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// Threads share sequences and parts of their features.
LogicalResult heddle::emitMeanRows(MeanRowsOp op, Emit &e, const LoopShape &) {
  const int64_t units = lastDim(op.getOut().getType()) / 16;
  forItems(e, e.mul(e.dim(op.getOut()), e.index(units)), [&](Emit &e, Value item) {
    Value sequence = e.div(item, e.index(units)), column = e.mul(e.rem(item, e.index(units)), e.index(16));
    Value first = e.loadIndex(op.getFirst(), sequence), end = e.add(e.loadIndex(op.getLast(), sequence), e.index(1));
    Value sum = e.forCarrying(first, end, 1, {e.lanes(0)}, [&](Emit &e, Value t, ValueRange sum) {
      return SmallVector<Value>{e.addf(sum[0], e.load(op.getInput(), {t, column}))};
    })[0];
    Value count = e.b.create<arith::IndexCastOp>(e.loc, e.b.getI64Type(), e.sub(end, first));
    count = e.b.create<arith::SIToFPOp>(e.loc, e.b.getF32Type(), count);
    e.store(e.divf(sum, e.splat(count)), op.getOut(), {sequence, column});
  });
  return success();
}

LogicalResult heddle::emitNormalize(NormalizeOp op, Emit &e, const LoopShape &) {
  const int64_t features = lastDim(op.getInput().getType());
  forItems(e, e.dim(op.getOut()), [&](Emit &e, Value t) {
    Value squares = e.forCarrying(e.index(0), e.index(features), 16, {e.lanes(0)}, [&](Emit &e, Value column, ValueRange acc) {
      Value x = e.load(op.getInput(), {t, column});
      return SmallVector<Value>{e.fma(x, x, acc[0])};
    })[0];
    Value root = e.b.create<mlir::math::SqrtOp>(e.loc, foldLanes(e, squares)), least = e.f32(op.getEps().convertToFloat());
    Value length = e.splat(EmitOps{e, e.b.getF32Type()}.selectLess(root, least, least, root));
    e.forLoop(e.index(0), e.index(features), 16, [&](Emit &e, Value column) {
      e.store(e.divf(e.load(op.getInput(), {t, column}), length), op.getOut(), {t, column});
    });
  });
  return success();
}
