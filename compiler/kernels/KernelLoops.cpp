//===- KernelLoops.cpp - the list of ops with loops, and the loops of those that work row by row --------------------===//
//
//   heddle.rms_norm %x, %weight eps 1.0e-5 outs(%y) …
// →
//   scf.for %t = %first to %last {                      // this thread's tokens
//     heddle.tile_rms_norm %x, %weight -> %y[%t] eps 1.0e-5 …
//   }
//
// Items (row groups, tokens, heads) are independent and cut evenly over threads, so that neither threads nor ranks nor tile
// heights appear in any result.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/kernels/KernelLoops.h"
#include "compiler/kernels/Items.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

static LogicalResult emitRmsNorm(RmsNormOp op, Emit &e, const LoopShape &) {
  if (op.getGroups() != 1)
    return op.emitOpError("cannot be lowered yet over groups, except where attention or store_kv takes it along");
  if (int64_t features = lastDim(op.getWeight().getType()); features % 16)
    return op.emitOpError("cannot be lowered yet for ") << features << " features: a multiple of 16";
  forItems(e, e.dim(op.getOut()), [&](Emit &e, Value t) {
    e.b.create<TileRmsNormOp>(e.loc, op.getInput(), op.getWeight(), op.getResidual(), op.getOut(), t, op.getEpsAttr());
  });
  return success();
}

static LogicalResult emitLayerNorm(LayerNormOp op, Emit &e, const LoopShape &) {
  if (int64_t features = lastDim(op.getWeight().getType()); features % 16)
    return op.emitOpError("cannot be lowered yet for ") << features << " features: a multiple of 16";
  forItems(e, e.dim(op.getOut()), [&](Emit &e, Value t) {
    e.b.create<TileLayerNormOp>(e.loc, op.getInput(), op.getWeight(), op.getBias(), op.getOut(), t, op.getEpsAttr());
  });
  return success();
}

static LogicalResult emitEmbed(EmbedOp op, Emit &e, const LoopShape &) {
  forItems(e, e.dim(op.getOut()), [&](Emit &e, Value t) {
    e.b.create<TileEmbedOp>(e.loc, op.getIds(), op.getTable(), op.getOut(), t, op.getScaleAttr());
  });
  return success();
}

static LogicalResult emitSelectRows(SelectRowsOp op, Emit &e, const LoopShape &) {
  forItems(e, e.dim(op.getOut()), [&](Emit &e, Value row) {
    e.b.create<TileCopyRowOp>(e.loc, op.getInput(), e.loadIndex(op.getRows(), row), op.getOut(), row);
  });
  return success();
}

static LogicalResult emitCopy(CopyOp op, Emit &e, const LoopShape &) {
  forItems(e, e.dim(op.getOut()),
           [&](Emit &e, Value row) { e.b.create<TileCopyRowOp>(e.loc, op.getInput(), row, op.getOut(), row); });
  return success();
}

static LogicalResult emitQuantize(QuantizeOp op, Emit &e, const LoopShape &) {
  forItems(e, e.dim(op.getOut()), [&](Emit &e, Value t) { e.b.create<TileQuantizeRowOp>(e.loc, op.getInput(), op.getOut(), t); });
  return success();
}

/// Vectors of 16 features of each token: `value` makes a result's from those of the operands.
static void elementWise(Emit &e, ValueRange operands, Value out, llvm::function_ref<Value(Emit &, ArrayRef<Value>)> value) {
  forItems(e, e.dim(out), [&](Emit &e, Value t) {
    e.forLoop(e.index(0), e.index(lastDim(out.getType())), 16, [&](Emit &e, Value column) {
      SmallVector<Value> vectors;
      for (Value operand : operands)
        vectors.push_back(e.load(operand, {t, column}));
      e.store(value(e, vectors), out, {t, column});
    });
  });
}
static LogicalResult emitAdd(AddOp op, Emit &e, const LoopShape &) {
  elementWise(e, {op.getLhs(), op.getRhs()}, op.getOut(), [](Emit &e, ArrayRef<Value> v) { return e.addf(v[0], v[1]); });
  return success();
}
static LogicalResult emitMul(MulOp op, Emit &e, const LoopShape &) {
  elementWise(e, {op.getLhs(), op.getRhs()}, op.getOut(), [](Emit &e, ArrayRef<Value> v) { return e.mulf(v[0], v[1]); });
  return success();
}
static LogicalResult emitActivate(ActivateOp op, Emit &e, const LoopShape &) {
  elementWise(e, {op.getInput()}, op.getOut(), [&](Emit &e, ArrayRef<Value> v) -> Value {
    return e.b.create<TileActivateOp>(e.loc, e.lanesType(), v[0], op.getFunctionAttr());
  });
  return success();
}

static LogicalResult emitScale(ScaleOp op, Emit &e, const LoopShape &) {
  elementWise(e, {op.getInput()}, op.getOut(),
              [&](Emit &e, ArrayRef<Value> v) { return e.mulf(v[0], e.lanes(op.getBy().convertToFloat())); });
  return success();
}

static LogicalResult emitRope(RopeOp op, Emit &e, const LoopShape &) {
  int64_t heads = op.getHeads(), dims = lastDim(op.getInput().getType()) / heads;
  int64_t rotated = op->getParentOfType<ModuleOp>().lookupSymbol<RopeTableOp>(op.getTable()).getDims();
  if (dims > 4096 || dims % 16 || rotated % 16)
    return op.emitOpError("cannot be lowered yet for ")
           << rotated << " rotated dimensions of heads of " << dims << ": multiples of 16";
  Value count = e.index(heads);
  forItems(e, e.mul(e.dim(op.getOut()), count), [&](Emit &e, Value item) {
    Value t = e.div(item, count), head = e.rem(item, count);
    e.b.create<TileRopeOp>(e.loc, op.getInput(), e.angles(op.getTableAttr()), op.getOut(), t, head, e.positionOf(t), dims,
                           rotated, op.getStyle());
  });
  return success();
}

/// Threads share the rank's units of 16 features; each goes through all tokens, in whose order every sequence's row changes.
static LogicalResult emitRecurrence(RecurrenceOp op, Emit &e, const LoopShape &) {
  if (op.getShares().empty())
    return op.emitOpError("has no shares: stage sharded gives them");
  auto state = op->getParentOfType<ModuleOp>().lookupSymbol<StateOp>(op.getState());
  constexpr int64_t unitBytes = RecurrenceOp::kUnit * sizeof(float);
  Value begin = op.getShares()[0], units = e.sub(op.getShares()[1], begin);
  PagesOp rows = e.pages(op.getStateAttr(), ir::Access::Update);
  forItems(e, units, [&](Emit &e, Value unit) {
    Value column = e.mul(e.add(begin, unit), e.index(RecurrenceOp::kUnit));
    e.forLoop(e.index(0), e.dim(op.getInput()), 1, [&](Emit &e, Value t) {
      Value row = e.loadIndex(rows.getTable(), e.mul(e.sequenceOf(t), rows.getWidth()));
      Value layer = e.add(e.mul(row, e.index(state.layerCount())), op.getLayer());
      Value at = e.mul(e.add(e.mul(layer, units), unit), e.index(unitBytes));
      Value h = e.loadBytes(rows.getMemory(), {at}, unitBytes, e.b.getF32Type());
      h = e.fma(e.load(op.getKeep(), {t, column}), h, e.load(op.getInput(), {t, column}));
      e.storeBytes(h, rows.getMemory(), {at});
      e.store(h, op.getOut(), {t, column});
    });
  });
  return success();
}

template <class Op, LogicalResult (*emit)(Op, Emit &, const LoopShape &)> static constexpr KernelLoops loops() {
  return {Op::getOperationName(), [](Operation *op, Emit &e, const LoopShape &shape) { return emit(cast<Op>(op), e, shape); }};
}

const KernelLoops *heddle::kernelLoopsOf(Operation *op) {
  static const KernelLoops list[] = {
      loops<EmbedOp, emitEmbed>(),
      loops<SelectRowsOp, emitSelectRows>(),
      loops<CopyOp, emitCopy>(),
      loops<QuantizeOp, emitQuantize>(),
      loops<RmsNormOp, emitRmsNorm>(),
      loops<LayerNormOp, emitLayerNorm>(),
      loops<RopeOp, emitRope>(),
      loops<AddOp, emitAdd>(),
      loops<MulOp, emitMul>(),
      loops<ActivateOp, emitActivate>(),
      loops<ScaleOp, emitScale>(),
      loops<LinearOp, emitLinear>(),
      loops<ChooseExpertsOp, emitChooseExperts>(),
      loops<SumExpertsOp, emitSumExperts>(),
      loops<StoreKvOp, heddle::emitStoreKv>(),
      loops<AttentionOp, heddle::emitAttention>(),
      loops<RecurrenceOp, emitRecurrence>(),
      loops<MeanRowsOp, heddle::emitMeanRows>(),
      loops<NormalizeOp, heddle::emitNormalize>(),
  };
  for (const KernelLoops &known : list)
    if (known.op == op->getName().getStringRef())
      return &known;
  return nullptr;
}
