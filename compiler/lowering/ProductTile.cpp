//===- ProductTile.cpp - 16 rows × M tokens of a product, the whole of K ---------------------------------------------===//
//
// One accumulator vector per row group and token, a lane per row, FMA in increasing K: the accumulator of a (row, token) never
// splits. Weights are unpacked once per tile and used for all its tokens. Where registers are few (lanes 8) that happens for the
// lower 8 rows of a block, then for the upper 8: with all 16 at once the 8 quads alone would take every register of AVX2.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"
#include "compiler/lowering/Tiles.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// How far ahead the AVX2 tiles that wait for memory ask for weights. CPUs without AVX-512 read too little ahead by themselves:
/// in a probe of this layout on Zen 3 a core took 20 to 22 GB/s with it and 18 without. AVX-512 tiles do without: on Zen 4 it
/// made decoding slower.
constexpr int64_t kPrefetchBytes = 1024;
/// Tokens from which a tile takes more time to multiply than to read.
constexpr size_t kTallTile = 4;

/// One token's block of q8 activations: what the products of its 32 K need.
struct ActivationBlock {
  SmallVector<Value, 8> quads; // vector<4·lanes×i8>: each lane the same four q
  Value d, s0, s1;             // f32, i32, i32
};

static ActivationBlock loadActivations(Emit &e, Value input, Value token, Value block, int64_t lanes) {
  ActivationBlock a;
  Type i32 = e.b.getI32Type();
  for (int64_t q = 0; q < 8; ++q) {
    Value four = e.extract(e.loadBytes(input, {token, block, e.index(4 * q)}, 4, i32), 0);
    a.quads.push_back(e.b.create<vector::BitCastOp>(e.loc, e.vectorType(4 * lanes, e.b.getI8Type()), e.splat(four, lanes)));
  }
  a.d = e.extract(e.loadBytes(input, {token, block, e.index(32)}, 4, e.b.getF32Type()), 0);
  Value sums = e.loadBytes(input, {token, block, e.index(36)}, 4, e.b.getI16Type());
  a.s0 = e.b.create<arith::ExtSIOp>(e.loc, i32, e.extract(sums, 0));
  a.s1 = e.b.create<arith::ExtSIOp>(e.loc, i32, e.extract(sums, 1));
  return a;
}

/// acc after one 32-block (docs/arithmetic.md, Products).
static Value multiplyBlock(Emit &e, const FormatKernel &format, const WeightBlock &w, const ActivationBlock &a, Value acc) {
  int64_t parts = w.scales.size(), quads = 8 / parts;
  auto floats = cast<VectorType>(acc.getType());
  int64_t lanes = floats.getNumElements();
  Value d = e.splat(a.d, lanes);
  for (int64_t part = 0; part < parts; ++part) {
    Value sum = parts == 1 ? e.b.create<arith::AddIOp>(e.loc, a.s0, a.s1).getResult() : part ? a.s1 : a.s0;
    Value start = format.codeOffset ? e.b.create<arith::MulIOp>(e.loc, sum, e.i32(-format.codeOffset)).getResult() : e.i32(0);
    auto slice = [&](const SmallVector<Value, 8> &all) { return ValueRange(ArrayRef<Value>(all).slice(part * quads, quads)); };
    Value dot = e.b.create<DotOp>(e.loc, e.vectorType(lanes, e.b.getI32Type()), e.splat(start, lanes), sum, slice(w.quads),
                                  slice(a.quads), e.b.getI64IntegerAttr(format.codeMax),
                                  format.signedCodes ? e.b.getUnitAttr() : UnitAttr());
    Value exact = e.b.create<arith::SIToFPOp>(e.loc, floats, dot);
    acc = e.fma(exact, e.mulf(w.scales[part], d), acc);
  }
  if (w.minima) {
    Value sum = e.b.create<arith::SIToFPOp>(e.loc, e.b.getF32Type(), e.b.create<arith::AddIOp>(e.loc, a.s0, a.s1));
    acc = e.fma(w.minima, e.splat(e.mulf(a.d, sum), lanes), acc);
  }
  return acc;
}

/// The accumulators of rows [first, first + rows) of a row group for all tokens: those of the first lanes for each token, then of
/// the next lanes.
static SmallVector<Value> overColumns(Emit &e, TileProductOp op, const FormatTraits &traits, Value group, ArrayRef<Value> tokens,
                                      int64_t first, int64_t rows) {
  const FormatKernel &format = formatKernel(op.getFormat());
  int64_t lanes = op.getLanes(), subBlocks = traits.blockElements / 32;
  SmallVector<Value> start(tokens.size() * (rows / lanes), e.splat(e.f32(0), lanes));
  auto step = [&](Emit &e, Value block, Value sub, Value activationBlock, ValueRange accumulators) {
    SmallVector<Value> next;
    int64_t bytes = traits.packedBytes / subBlocks;
    Value here = e.add(block, e.mul(sub, e.index(bytes)));
    if (lanes < kGroupRows && rows == kGroupRows)
      for (int64_t line = 0; line < bytes; line += 64)
        e.prefetch(op.getWeights(), {group, e.add(here, e.index(kPrefetchBytes + line))});
    // Tall tiles multiply for longer than memory takes for their weights: they ask for the next row group's meanwhile, each half
    // of the rows for every other line.
    if (tokens.size() >= kTallTile)
      for (int64_t turns = kGroupRows / rows, line = 64 * (first / rows); line < bytes; line += 64 * turns)
        e.prefetch(op.getWeights(), {e.add(group, e.index(1)), e.add(here, e.index(line))});
    for (int64_t row = first; row < first + rows; row += lanes) {
      WeightBlock w = format.unpack(e, {op.getWeights(), group, lanes, row}, block, sub);
      for (Value token : tokens)
        next.push_back(multiplyBlock(e, format, w, loadActivations(e, op.getInput(), token, activationBlock, lanes),
                                     accumulators[next.size()]));
    }
    return next;
  };
  return e.forCarrying(
      e.index(0), e.index(op.getColumns() / traits.blockElements), 1, start, [&](Emit &e, Value k, ValueRange accumulators) {
        Value block = e.mul(k, e.index(traits.packedBytes));
        if (subBlocks == 1)
          return step(e, block, e.index(0), k, accumulators);
        return e.forCarrying(e.index(0), e.index(subBlocks), 1, accumulators, [&](Emit &e, Value sub, ValueRange inner) {
          return step(e, block, sub, e.add(e.mul(k, e.index(subBlocks)), sub), inner);
        });
      });
}

static SmallVector<Value> quantizedProduct(Emit &e, TileProductOp op, const FormatTraits &traits, Value group,
                                           ArrayRef<Value> tokens) {
  int64_t lanes = op.getLanes();
  // A tall tile goes through K once for each half of the rows, as the activations of both would not fit the registers. A low one
  // waits for memory, and goes through it once.
  int64_t rows = tokens.size() < kTallTile ? kGroupRows : lanes;
  SmallVector<Value> sums;
  for (int64_t first = 0; first < kGroupRows; first += rows)
    sums.append(overColumns(e, op, traits, group, tokens, first, rows));
  if (lanes == kGroupRows)
    return sums;
  SmallVector<int64_t> both;
  for (int64_t lane = 0; lane < kGroupRows; ++lane)
    both.push_back(lane);
  SmallVector<Value> whole;
  for (size_t m = 0; m < tokens.size(); ++m)
    whole.push_back(e.shuffle(sums[m], sums[tokens.size() + m], both));
  return whole;
}

/// F32, F16 and BF16 weights; activations stay f32.
static SmallVector<Value> floatProduct(Emit &e, TileProductOp op, const FormatTraits &traits, ArrayRef<Value> groups,
                                       ArrayRef<Value> tokens) {
  const FormatKernel &format = formatKernel(op.getFormat());
  SmallVector<Value> start(groups.size() * tokens.size(), e.lanes(0));
  return e.forCarrying(e.index(0), e.index(op.getColumns()), 1, start, [&](Emit &e, Value k, ValueRange accumulators) {
    Value at = e.mul(k, e.index(traits.packedBytes));
    SmallVector<Value> activations, next;
    for (Value token : tokens)
      activations.push_back(e.splat(e.b.create<memref::LoadOp>(e.loc, op.getInput(), ValueRange{token, k})));
    for (Value group : groups) {
      Value w = format.widen(e, {op.getWeights(), group}, at);
      for (Value x : activations)
        next.push_back(e.fma(w, x, accumulators[next.size()]));
    }
    return next;
  });
}

SmallVector<Value> heddle::emitProduct(Emit &e, TileProductOp op) {
  StringRef name = op.getFormat();
  const FormatTraits &known = traits(*formatByName(std::string_view(name.data(), name.size())));
  auto from = [&](Value first, int64_t n) {
    SmallVector<Value> all{first};
    for (int64_t i = 1; i < n; ++i)
      all.push_back(e.add(first, e.index(i)));
    return all;
  };
  SmallVector<Value> tokens = from(op.getToken(), op.getNumResults() / op.getRowGroups());
  if (!known.quantized)
    return floatProduct(e, op, known, from(op.getGroup(), op.getRowGroups()), tokens);
  return quantizedProduct(e, op, known, op.getGroup(), tokens);
}
