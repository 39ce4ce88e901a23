//===- ProductPanel.cpp - many row groups × many tokens of a product, the whole of K ---------------------------------===//
//
//   heddle.tile_product_panel %x[%t for 16], %w[%g for 16] -> %sums
// →
//   scf.for %k = 0 to 64 {                         // blocks of 32 K
//     scf.for %m = 0 to 16 { … }                   // each token's activations, splat, into %splats
//     scf.for %n = 0 to 16 {                       // row groups
//       …                                          // 8 rows × 32 K are unpacked into 8 registers
//       scf.for %m = 0 to 16 {
//         … heddle.dot … math.fma …                // with %splats[%m], into %sums[%n, %m]
//       } …                                        // and the upper 8 rows
//     }
//   }
//
// A register tile on AVX2 spends more on splatting activations, four bytes into every lane, and on unpacking weights than its few
// registers let it share. Here an unpacked block meets all tokens and a splat block all rows: the splats are read from the
// first-level cache as operands of the products. Accumulators stand in memory, each still a chain of its own in increasing K:
// bits do not depend on the form.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/lowering/QuantizedBlock.h"
#include "compiler/lowering/Tiles.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// An accumulator after a block, by what it was before.
using AddBlock = llvm::function_ref<Value(Value)>;

void heddle::emitProductPanel(Emit &e, TileProductPanelOp op) {
  const FormatTraits &known = formatOf(op.getWeights().getType());
  const FormatKernel &format = formatKernel(known.name);
  Value weights = e.bytes(op.getWeights()), input = e.bytes(op.getInput());
  int64_t lanes = op.getLanes(), width = 4 * lanes, subBlocks = known.blockElements / 32,
          bytes = known.packedBytes / subBlocks; // of 32 K, the larger block's own scales apart
  Value sums = op.getSums(), zero = e.index(0);
  auto overTokens = [&](Emit &e, llvm::function_ref<void(Emit &, Value)> body) { e.forLoop(zero, op.getTokens(), 1, body); };
  auto overGroups = [&](Emit &e, llvm::function_ref<void(Emit &, Value)> body) { e.forLoop(zero, op.getGroups(), 1, body); };

  auto rowOf = [&](Emit &e, Value m) {
    Value token = e.add(op.getToken(), m);
    return op.getThrough() ? e.loadIndex(op.getThrough(), token) : token;
  };

  // [tokens × vectors], each vector a register wide: ActivationBlock::vectors.
  bool pairs = op.getPairs() && format.signedCodes; // of other formats there are quads only
  int64_t operands = pairs ? 16 : 8, vectors = operands + 1 + (format.codeOffset ? format.scales : 0) + (format.minima ? 1 : 0);
  int64_t mostTokens = cast<MemRefType>(sums.getType()).getDimSize(1);
  Value splats = e.stackBuffer(op, MemRefType::get({mostTokens, vectors * width}, e.b.getI8Type()));
  auto splat = [&](Emit &e, Value m, Value k) {
    ActivationBlock a = loadActivations(e, format, input, rowOf(e, m), k, lanes);
    if (pairs)
      a.q = toPairs(e, a.q);
    for (auto [i, vector] : llvm::enumerate(a.vectors()))
      e.storeBytes(*vector, splats, {m, e.index(static_cast<int64_t>(i) * width)});
  };
  auto splatted = [&](Emit &e, Value m, Value k) {
    ActivationBlock a;
    Type i32 = e.b.getI32Type(), f32 = e.b.getF32Type();
    int64_t at = 0;
    auto next = [&](Type element) {
      at += width;
      return e.loadBytes(splats, {m, e.index(at - width)}, width, element);
    };
    for (int64_t i = 0; i < operands; ++i)
      a.q.push_back(next(pairs ? e.b.getI16Type() : e.b.getI8Type()));
    a.d = next(f32);
    for (int64_t part = 0; format.codeOffset && part < format.scales; ++part)
      a.starts.push_back(next(i32));
    if (format.minima)
      a.scaledSum = next(f32);
    a.sums = loadSums(e, format, input, rowOf(e, m), k);
    return a;
  };

  // Pairs fill the registers with half of a block: its first half's sums wait here for the second.
  Type integers = e.vectorType(lanes, e.b.getI32Type());
  Value halfSums = pairs ? e.stackBuffer(op, MemRefType::get({mostTokens, lanes}, e.b.getI32Type())) : Value();
  auto multiply = [&](Emit &e, const WeightBlock &w, Value k, llvm::function_ref<void(Emit &, Value, AddBlock)> add) {
    if (!pairs)
      return overTokens(e, [&](Emit &e, Value m) {
        ActivationBlock a = splatted(e, m, k);
        add(e, m, [&](Value acc) { return multiplyBlock(e, format, w, a, acc); });
      });
    for (int64_t half = 0; half < 2; ++half) {
      SmallVector<Value, 16> codes = toPairs(e, ArrayRef<Value>(w.quads).slice(4 * half, 4));
      overTokens(e, [&](Emit &e, Value m) {
        ActivationBlock a = splatted(e, m, k);
        SmallVector<Value> at{m, zero};
        Value start = half ? e.b.create<vector::LoadOp>(e.loc, integers, halfSums, at).getResult() : e.splat(e.i32(0), lanes);
        Value dot = dotProduct(e, format, start, a.sums[0], codes, ArrayRef<Value>(a.q).slice(8 * half, 8));
        if (half)
          add(e, m, [&](Value acc) { return addBlock(e, format, w, a, dot, acc); });
        else
          e.store(dot, halfSums, at);
      });
    }
  };

  overGroups(e, [&](Emit &e, Value n) { overTokens(e, [&](Emit &e, Value m) { e.store(e.lanes(0), sums, {n, m, zero}); }); });
  /// 32 K: sub-block `sub` of the block at byte `block` of the row groups, block `k` of the activations.
  auto step = [&](Emit &e, Value block, Value sub, Value k) {
    overTokens(e, [&](Emit &e, Value m) { splat(e, m, k); });
    overGroups(e, [&](Emit &e, Value n) {
      Value group = e.add(op.getGroup(), n), next = e.add(block, e.mul(e.add(sub, e.index(1)), e.index(bytes)));
      for (int64_t line = 0; line < bytes; line += 64) // its turn comes when the other row groups have had theirs
        e.prefetch(weights, {group, e.add(next, e.index(line))});
      for (int64_t row = 0; row < kGroupRows; row += lanes) {
        WeightBlock w = format.unpack(e, {weights, group, lanes, row}, block, sub);
        multiply(e, w, k, [&](Emit &e, Value m, AddBlock after) {
          SmallVector<Value> at{n, m, e.index(row)};
          e.store(after(e.b.create<vector::LoadOp>(e.loc, e.vectorType(lanes, e.b.getF32Type()), sums, at)), sums, at);
        });
      }
    });
  };
  e.forLoop(zero, e.index(lastDim(op.getWeights().getType()) / known.blockElements), 1, [&](Emit &e, Value k) {
    Value block = e.mul(k, e.index(known.packedBytes));
    if (subBlocks == 1)
      return step(e, block, zero, k);
    e.forLoop(zero, e.index(subBlocks), 1,
              [&](Emit &e, Value sub) { step(e, block, sub, e.add(e.mul(k, e.index(subBlocks)), sub)); });
  });
}
