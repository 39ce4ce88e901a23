//===- RowTiles.cpp - one token's row: norm, quantisation, embedding, copy -------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"
#include "compiler/lowering/Tiles.h"
#include "runtime/math/Functions.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

Value heddle::foldLanes(Emit &e, Value v) {
  for (int64_t width : {8, 4, 2, 1}) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < width; ++i)
      low.push_back(i), high.push_back(i + width);
    v = e.addf(e.shuffle(v, v, low), e.shuffle(v, v, high));
  }
  return e.extract(v, 0);
}

Value heddle::emitActivation(Emit &e, Activation function, Value v) {
  EmitOps ops{e, v.getType()};
  switch (function) {
  case Activation::Silu:
    return math::silu(ops, v);
  case Activation::GeluTanh:
    return math::geluTanh(ops, v);
  case Activation::OssGate:
    return math::ossGate(ops, v);
  case Activation::OssUp:
    return math::ossUp(ops, v);
  case Activation::Gelu:
    return math::gelu(ops, v);
  case Activation::Relu:
    return math::relu(ops, v);
  case Activation::Tanh:
    return math::tanh(ops, v);
  }
  llvm_unreachable("an activation function of no kind");
}

QuantizedLanes heddle::emitQuantize(Emit &e, ArrayRef<Value> values) {
  Type ints = e.vectorType(16, e.b.getI32Type());
  // The magnitudes of floats order like their bits, and a NaN's are the largest: it ends in d and shows in the logits.
  auto magnitude = [&](Value v) { return e.b.create<arith::BitcastOp>(e.loc, ints, e.b.create<mlir::math::AbsFOp>(e.loc, v)); };
  Value largest = magnitude(values[0]);
  for (Value v : values.drop_front())
    largest = e.b.create<arith::MaxSIOp>(e.loc, largest, magnitude(v));
  largest = e.b.create<vector::ReductionOp>(e.loc, vector::CombiningKind::MAXSI, largest);
  Value amax = e.b.create<arith::BitcastOp>(e.loc, e.b.getF32Type(), largest);
  Value tiny = e.b.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::OLT, amax, e.f32(0x1p-100f));
  Value inverse = e.select(tiny, e.f32(0), e.divf(e.f32(127), amax)), zeroBits = e.splat(e.i32(0));
  QuantizedLanes result{e.select(tiny, e.f32(0), e.divf(amax, e.f32(127))), {}};
  for (Value v : values) {
    Value scaled = e.b.create<mlir::math::RoundEvenOp>(e.loc, e.mulf(v, e.splat(inverse)));
    EmitOps ops{e, scaled.getType()};
    scaled = ops.selectLess(ops.constant(127), scaled, ops.constant(127), scaled);
    scaled = ops.selectLess(scaled, ops.constant(-127), ops.constant(-127), scaled);
    Value number = e.b.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::ORD, scaled, scaled);
    Value q = e.b.create<arith::FPToSIOp>(e.loc, ints, e.select(number, scaled, e.lanes(0)));
    result.codes.push_back(e.select(number, q, zeroBits));
  }
  return result;
}

void heddle::emitQuantizeBlock(Emit &e, Value low, Value high, Value out, Value token, Value block) {
  QuantizedLanes quantized = emitQuantize(e, {low, high});
  SmallVector<Value, 2> sums;
  for (auto [half, q] : llvm::enumerate(quantized.codes)) {
    sums.push_back(e.b.create<vector::ReductionOp>(e.loc, vector::CombiningKind::ADD, q));
    Value bytes = e.b.create<arith::TruncIOp>(e.loc, e.vectorType(16, e.b.getI8Type()), q);
    e.storeBytes(bytes, out, {token, block, e.index(16 * half)});
  }
  e.storeBytes(e.splat(quantized.d, 1), out, {token, block, e.index(32)});
  for (auto [half, sum] : llvm::enumerate(sums))
    e.storeBytes(e.splat(e.b.create<arith::TruncIOp>(e.loc, e.b.getI16Type(), sum), 1), out,
                 {token, block, e.index(36 + 2 * half)});
}

/// Writes 32 columns per step to q8 rows, 16 to f32 rows; `lanesAt(column)` makes the values.
static void storeRow(Emit &e, Value out, Value token, int64_t features, llvm::function_ref<Value(Emit &, Value)> lanesAt) {
  if (isQ8(out.getType())) {
    Value bytes = e.bytes(out);
    e.forLoop(e.index(0), e.index(features / 32), 1, [&](Emit &e, Value block) {
      Value column = e.mul(block, e.index(32));
      Value low = lanesAt(e, column), high = lanesAt(e, e.add(column, e.index(16)));
      emitQuantizeBlock(e, low, high, bytes, token, block);
    });
  } else
    e.forLoop(e.index(0), e.index(features), 16,
              [&](Emit &e, Value column) { e.store(lanesAt(e, column), out, {token, column}); });
}

void heddle::emitRmsNorm(Emit &e, TileRmsNormOp op) {
  int64_t features = cast<MemRefType>(op.getWeight().getType()).getDimSize(0);
  Value squares = e.forCarrying(e.index(0), e.index(features), 16, {e.lanes(0)}, [&](Emit &e, Value column, ValueRange acc) {
    Value x = e.load(op.getInput(), {op.getToken(), column});
    return SmallVector<Value>{e.fma(x, x, acc[0])};
  })[0];
  Value mean = e.divf(foldLanes(e, squares), e.f32(features));
  Value root = e.b.create<mlir::math::SqrtOp>(e.loc, e.addf(mean, e.f32(op.getEps().convertToFloat())));
  Value inverse = e.splat(e.divf(e.f32(1), root));
  storeRow(e, op.getOut(), op.getToken(), features, [&](Emit &e, Value column) {
    Value y = e.mulf(e.mulf(e.load(op.getInput(), {op.getToken(), column}), inverse), e.load(op.getWeight(), {column}));
    return op.getResidual() ? e.addf(e.load(op.getResidual(), {op.getToken(), column}), y) : y;
  });
}

void heddle::emitLayerNorm(Emit &e, TileLayerNormOp op) {
  int64_t features = lastDim(op.getWeight().getType());
  // Σ of `next(x, partial)` over the row, by lanes, divided by the number of features.
  auto mean = [&](llvm::function_ref<Value(Emit &, Value, Value)> next) {
    Value sums = e.forCarrying(e.index(0), e.index(features), 16, {e.lanes(0)}, [&](Emit &e, Value column, ValueRange acc) {
      return SmallVector<Value>{next(e, e.load(op.getInput(), {op.getToken(), column}), acc[0])};
    })[0];
    return e.divf(foldLanes(e, sums), e.f32(static_cast<float>(features)));
  };
  Value center = e.splat(mean([](Emit &e, Value x, Value sum) { return e.addf(sum, x); }));
  Value variance = mean([&](Emit &e, Value x, Value sum) {
    Value apart = e.subf(x, center);
    return e.fma(apart, apart, sum);
  });
  Value root = e.b.create<mlir::math::SqrtOp>(e.loc, e.addf(variance, e.f32(op.getEps().convertToFloat())));
  Value inverse = e.splat(e.divf(e.f32(1), root));
  storeRow(e, op.getOut(), op.getToken(), features, [&](Emit &e, Value column) {
    Value x = e.mulf(e.subf(e.load(op.getInput(), {op.getToken(), column}), center), inverse),
          w = e.load(op.getWeight(), {column});
    return op.getBias() ? e.fma(x, w, e.load(op.getBias(), {column})) : e.mulf(x, w);
  });
}

void heddle::emitQuantizeRow(Emit &e, TileQuantizeRowOp op) {
  int64_t features = lastDim(op.getOut().getType());
  storeRow(e, op.getOut(), op.getToken(), features,
           [&](Emit &e, Value column) { return e.load(op.getInput(), {op.getToken(), column}); });
}

void heddle::emitCopyRow(Emit &e, TileCopyRowOp op) {
  if (isQ8(op.getInput().getType())) { // 40 bytes a block
    Value from = e.bytes(op.getInput()), to = e.bytes(op.getOut());
    e.forLoop(e.index(0), e.index(lastDim(op.getInput().getType()) / 32), 1, [&](Emit &e, Value block) {
      for (auto [at, size] : {std::pair<int64_t, int64_t>{0, 32}, {32, 8}})
        e.storeBytes(e.loadBytes(from, {op.getFrom(), block, e.index(at)}, size, e.b.getI8Type()), to,
                     {op.getTo(), block, e.index(at)});
    });
    return;
  }
  e.forLoop(e.index(0), e.index(lastDim(op.getInput().getType())), 16, [&](Emit &e, Value column) {
    e.store(e.load(op.getInput(), {op.getFrom(), column}), op.getOut(), {op.getTo(), column});
  });
}

// A row lies in one lane of its group. A whole group is unpacked, 16 rows for one, and the lane written: the table is read once
// per token, so simplicity wins over the other 15 lanes' arithmetic.
void heddle::emitEmbed(Emit &e, TileEmbedOp op) {
  const FormatTraits &known = formatOf(op.getTable().getType());
  int64_t columns = lastDim(op.getTable().getType());
  Value id = e.loadIndex(op.getIds(), op.getToken());
  Value group = e.div(id, e.index(kGroupRows)), lane = e.rem(id, e.index(kGroupRows));
  auto scaled = [&](Emit &e, Value x) { return op.getScale() ? e.mulf(x, e.f32(op.getScale()->convertToFloat())) : x; };
  const FormatKernel &format = formatKernel(known.name);
  PackedGroup table{e.bytes(op.getTable()), group};
  auto laneOf = [&](Emit &e, Value v) { return e.b.create<vector::ExtractElementOp>(e.loc, v, lane); };
  if (!known.quantized) {
    e.forLoop(e.index(0), e.index(columns), 1, [&](Emit &e, Value k) {
      Value x = laneOf(e, format.widen(e, table, e.mul(k, e.index(known.packedBytes))));
      e.b.create<memref::StoreOp>(e.loc, scaled(e, x), op.getOut(), ValueRange{op.getToken(), k});
    });
    return;
  }
  int64_t subBlocks = known.blockElements / 32;
  e.forLoop(e.index(0), e.index(columns / 32), 1, [&](Emit &e, Value k) {
    Value block = e.mul(e.div(k, e.index(subBlocks)), e.index(known.packedBytes)), sub = e.rem(k, e.index(subBlocks));
    WeightBlock w = format.unpack(e, table, block, sub);
    for (int64_t q = 0; q < 8; ++q) {
      Value four = e.b.create<vector::BitCastOp>(e.loc, e.vectorType(16, e.b.getI32Type()), w.quads[q]);
      Value bytes = e.b.create<vector::BitCastOp>(e.loc, e.vectorType(4, e.b.getI8Type()), e.splat(laneOf(e, four), 1));
      for (int64_t i = 0; i < 4; ++i) {
        Value byte = e.extract(bytes, i), code;
        if (format.signedCodes)
          code = e.b.create<arith::ExtSIOp>(e.loc, e.b.getI32Type(), byte);
        else
          code = e.b.create<arith::SubIOp>(e.loc, e.b.create<arith::ExtUIOp>(e.loc, e.b.getI32Type(), byte),
                                           e.i32(format.codeOffset));
        Value exact = e.b.create<arith::SIToFPOp>(e.loc, e.b.getF32Type(), code);
        Value scale = laneOf(e, w.scales[w.scales.size() == 1 ? 0 : q / 4]);
        Value x = w.minima ? e.fma(exact, scale, laneOf(e, w.minima)) : e.mulf(exact, scale);
        e.b.create<memref::StoreOp>(e.loc, scaled(e, x), op.getOut(),
                                    ValueRange{op.getToken(), e.add(e.mul(k, e.index(32)), e.index(4 * q + i))});
      }
    }
  });
}
