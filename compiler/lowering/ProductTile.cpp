//===- ProductTile.cpp - 16 rows × M tokens of a product, the whole of K ---------------------------------------------===//
//
// One accumulator vector per row group and token, a lane per row, FMA in increasing K: the accumulator of a (row, token) never
// splits. Weights are unpacked once per tile and used for all its tokens. Where registers are few (lanes 8) that happens for the
// lower 8 rows of a block, then for the upper 8: with all 16 at once the 8 quads alone would take every register of AVX2.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/kernels/ProductLoops.h"
#include "compiler/lowering/QuantizedBlock.h"
#include "compiler/lowering/Tiles.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// The accumulators of rows [first, first + rows) of a row group for all tokens: those of the first lanes for each token, then of
/// the next lanes.
static SmallVector<Value> overColumns(Emit &e, TileProductOp op, const FormatTraits &traits, Value group, ArrayRef<Value> tokens,
                                      int64_t first, int64_t rows) {
  const FormatKernel &format = formatKernel(traits.name);
  Value weights = e.bytes(op.getWeights()), input = e.bytes(op.getInput());
  int64_t lanes = op.getLanes(), subBlocks = traits.blockElements / 32;
  SmallVector<Value> start(tokens.size() * (rows / lanes), e.splat(e.f32(0), lanes));
  auto step = [&](Emit &e, Value block, Value sub, Value activationBlock, ValueRange accumulators) {
    SmallVector<Value> next;
    int64_t bytes = traits.packedBytes / subBlocks;
    Value here = e.add(block, e.mul(sub, e.index(bytes)));
    if (int64_t ahead = op.getAhead())
      for (int64_t line = 0; line < bytes; line += 64)
        e.prefetch(weights, {group, e.add(here, e.index(ahead + line))});
    // Tall tiles multiply for longer than memory takes for their weights: they ask for the next row group's meanwhile, each half
    // of the rows for every other line.
    if (static_cast<int64_t>(tokens.size()) >= kTallTile)
      for (int64_t turns = kGroupRows / rows, line = 64 * (first / rows); line < bytes; line += 64 * turns)
        e.prefetch(weights, {e.add(group, e.index(1)), e.add(here, e.index(line))});
    for (int64_t row = first; row < first + rows; row += lanes) {
      WeightBlock w = format.unpack(e, {weights, group, lanes, row}, block, sub);
      for (Value token : tokens)
        next.push_back(multiplyBlock(e, format, w, loadActivations(e, format, input, token, activationBlock, lanes),
                                     accumulators[next.size()]));
    }
    return next;
  };
  return e.forCarrying(e.index(0), e.index(lastDim(op.getWeights().getType()) / traits.blockElements), 1, start,
                       [&](Emit &e, Value k, ValueRange accumulators) {
                         Value block = e.mul(k, e.index(traits.packedBytes));
                         if (subBlocks == 1)
                           return step(e, block, e.index(0), k, accumulators);
                         return e.forCarrying(e.index(0), e.index(subBlocks), 1, accumulators,
                                              [&](Emit &e, Value sub, ValueRange inner) {
                                                return step(e, block, sub, e.add(e.mul(k, e.index(subBlocks)), sub), inner);
                                              });
                       });
}

static SmallVector<Value> quantizedProduct(Emit &e, TileProductOp op, const FormatTraits &traits, Value group,
                                           ArrayRef<Value> tokens) {
  int64_t lanes = op.getLanes();
  // A tall tile goes through K once for each half of the rows, as the activations of both would not fit the registers. A low one
  // waits for memory, and goes through it once.
  int64_t rows = static_cast<int64_t>(tokens.size()) < kTallTile ? kGroupRows : lanes;
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
  const FormatKernel &format = formatKernel(traits.name);
  Value weights = e.bytes(op.getWeights());
  SmallVector<Value> start(groups.size() * tokens.size(), e.lanes(0));
  return e.forCarrying(e.index(0), e.index(lastDim(op.getWeights().getType())), 1, start,
                       [&](Emit &e, Value k, ValueRange accumulators) {
                         Value at = e.mul(k, e.index(traits.packedBytes));
                         SmallVector<Value> activations, next;
                         for (Value token : tokens)
                           activations.push_back(e.splat(e.b.create<memref::LoadOp>(e.loc, op.getInput(), ValueRange{token, k})));
                         for (Value group : groups) {
                           Value w = format.widen(e, {weights, group}, at);
                           for (Value x : activations)
                             next.push_back(e.fma(w, x, accumulators[next.size()]));
                         }
                         return next;
                       });
}

SmallVector<Value> heddle::emitProduct(Emit &e, TileProductOp op) {
  const FormatTraits &known = formatOf(op.getWeights().getType());
  auto from = [&](Value first, int64_t n) {
    SmallVector<Value> all{first};
    for (int64_t i = 1; i < n; ++i)
      all.push_back(e.add(first, e.index(i)));
    return all;
  };
  SmallVector<Value> tokens = from(op.getToken(), op.getNumResults() / op.getRowGroups());
  if (op.getThrough())
    for (Value &token : tokens)
      token = e.loadIndex(op.getThrough(), token);
  if (!known.quantized)
    return floatProduct(e, op, known, from(op.getGroup(), op.getRowGroups()), tokens);
  return quantizedProduct(e, op, known, op.getGroup(), tokens);
}
