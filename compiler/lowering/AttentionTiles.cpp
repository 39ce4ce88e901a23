//===- AttentionTiles.cpp - one head of one token: cache write and online-softmax attention -------------------------===//
//
// A page of a KV head holds 64 positions: K transposed [head_dim][64] f16, so that lanes are keys when scores are made, then V
// [64][head_dim] f16, so that lanes are features when values are added (runtime/plan/StepAbi.h). A page is one chunk of
// docs/arithmetic.md.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/lowering/Tiles.h"
#include "runtime/math/Functions.h"
#include "runtime/plan/StepAbi.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// Rotates pairs; see docs/arithmetic.md. The table row is [pair][cos, sin], `at` its first element.
static void rotate(Emit &e, SmallVector<Value> &v, Value table, Value at, int64_t dims, RopeStyle style) {
  auto row = [&](int64_t pair) { return e.load(table, {e.add(at, e.index(2 * pair))}); }; // 8 pairs
  if (style == RopeStyle::Interleaved) {
    for (int64_t i = 0; i < dims / 16; ++i) {
      Value angles = row(8 * i);
      SmallVector<int64_t> even, odd, swap, mix;
      for (int64_t j = 0; j < 16; ++j)
        even.push_back(j & ~1), odd.push_back(j | 1), swap.push_back(j ^ 1), mix.push_back(j & 1 ? 16 + j : j);
      Value cosines = e.shuffle(angles, angles, even), sines = e.shuffle(angles, angles, odd),
            other = e.shuffle(v[i], v[i], swap);
      Value first = e.fma(v[i], cosines, e.negf(e.mulf(other, sines))); // even lanes: a·cos − b·sin
      Value second = e.fma(other, sines, e.mulf(v[i], cosines));        // odd lanes: a·sin + b·cos
      v[i] = e.shuffle(first, second, mix);
    }
    return;
  }
  int64_t half = dims / 32;
  SmallVector<int64_t> even, odd;
  for (int64_t j = 0; j < 16; ++j)
    even.push_back(2 * j), odd.push_back(2 * j + 1);
  for (int64_t i = 0; i < half; ++i) {
    Value low = row(16 * i), high = row(16 * i + 8);
    Value cosines = e.shuffle(low, high, even), sines = e.shuffle(low, high, odd);
    Value a = v[i], b = v[i + half];
    v[i] = e.fma(a, cosines, e.negf(e.mulf(b, sines)));
    v[i + half] = e.fma(a, sines, e.mulf(b, cosines));
  }
}

SmallVector<Value> heddle::loadHead(Emit &e, Value rows, Value token, Value head, Value position, const HeadPrologue &p) {
  SmallVector<Value> v;
  Value column = e.mul(head, e.index(p.headDim));
  for (int64_t i = 0; i < p.headDim; i += 16)
    v.push_back(e.load(rows, {token, i ? e.add(column, e.index(i)) : column}));
  if (p.norm) {
    Value squares = e.lanes(0);
    for (Value x : v)
      squares = e.fma(x, x, squares);
    Value mean = e.divf(foldLanes(e, squares), e.f32(p.headDim));
    Value inverse =
        e.splat(e.divf(e.f32(1), e.b.create<mlir::math::SqrtOp>(e.loc, e.addf(mean, e.f32(p.eps->convertToFloat())))));
    for (auto [i, x] : llvm::enumerate(v))
      x = e.mulf(e.mulf(x, inverse), e.load(p.norm, {e.index(16 * i)}));
  }
  if (p.rope)
    rotate(e, v, p.rope, e.add(p.ropeOffset, e.mul(position, e.index(p.ropeDims))), p.ropeDims, *p.style);
  return v;
}

static Value toHalf(Emit &e, Value v) { return e.b.create<arith::TruncFOp>(e.loc, e.vectorType(16, e.b.getF16Type()), v); }

/// A buffer on the thread's stack, made once per call of the function.
static Value stackBuffer(Emit &e, Operation *op, MemRefType type) {
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(&op->getParentOfType<func::FuncOp>().front());
  return e.b.create<memref::AllocaOp>(e.loc, type, e.b.getI64IntegerAttr(64));
}

void heddle::emitStoreKv(Emit &e, TileStoreKvOp op) {
  int64_t dims = op.getHeadDim();
  HeadPrologue prologue{op.getKNorm(),   op.getRope(), op.getRopeOffset(), dims, static_cast<int64_t>(op.getRopeDims()),
                        op.getNormEps(), op.getStyle()};
  Value slot = e.rem(op.getPosition(), e.index(kPageTokens));
  Value keyAt = e.add(op.getPage(), e.mul(slot, e.index(2)));
  // A key's elements lie a page row apart. They go through the stack and a loop, as LLVM takes quadratic time over hundreds of
  // stores in a row.
  Value key = stackBuffer(e, op, MemRefType::get({2 * dims}, e.b.getI8Type()));
  for (auto [i, v] : llvm::enumerate(loadHead(e, op.getKeys(), op.getToken(), op.getHead(), op.getPosition(), prologue)))
    e.storeBytes(toHalf(e, v), key, {e.index(32 * i)});
  e.forLoop(e.index(0), e.index(dims), 1, [&](Emit &e, Value j) {
    e.storeBytes(e.loadBytes(key, {e.mul(j, e.index(2))}, 2, e.b.getF16Type()), op.getKv(),
                 {e.add(keyAt, e.mul(j, e.index(kPageTokens * 2)))});
  });
  Value valueAt = e.add(e.add(op.getPage(), e.index(dims * kPageTokens * 2)), e.mul(slot, e.index(2 * dims)));
  HeadPrologue raw{Value(), Value(), Value(), dims, 0, std::nullopt, std::nullopt};
  for (auto [i, v] : llvm::enumerate(loadHead(e, op.getValues(), op.getToken(), op.getHead(), op.getPosition(), raw)))
    e.storeBytes(toHalf(e, v), op.getKv(), {e.add(valueAt, e.index(32 * i))});
}

static Value widen(Emit &e, Value kv, Value at) {
  return e.b.create<arith::ExtFOp>(e.loc, e.lanesType(), e.loadBytes(kv, {at}, 32, e.b.getF16Type()));
}

void heddle::emitAttention(Emit &e, TileAttentionOp op) {
  constexpr int64_t keyVectors = kPageTokens / 16;
  const int64_t dims = op.getHeadDim(), vectors = dims / 16;
  auto floats = [&](int64_t n) { return stackBuffer(e, op, MemRefType::get({n}, e.b.getF32Type())); };
  Value query = floats(dims), total = floats(dims), weights = floats(kPageTokens);
  HeadPrologue prologue{op.getQNorm(),   op.getRope(), op.getRopeOffset(), dims, static_cast<int64_t>(op.getRopeDims()),
                        op.getNormEps(), op.getStyle()};
  Value scale = e.lanes(op.getScale().convertToFloat());
  for (auto [i, v] : llvm::enumerate(loadHead(e, op.getQuery(), op.getToken(), op.getHead(), op.getPosition(), prologue)))
    e.store(e.mulf(v, scale), query, {e.index(16 * i)});

  Value pageTokens = e.index(kPageTokens), position = op.getPosition();
  Value lowest = e.index(0); // first visible position
  if (op.getWindow())
    lowest = e.maximum(e.sub(position, e.index(op.getWindow() - 1)), lowest);
  Value firstChunk = e.div(lowest, pageTokens), endChunk = e.add(e.div(position, pageTokens), e.index(1));
  Value minusInfinity = e.f32(-INFINITY), zero = e.index(0);

  SmallVector<Value> state =
      e.forCarrying(firstChunk, endChunk, 1, {minusInfinity, e.f32(0)}, [&](Emit &e, Value chunk, ValueRange carried) {
        Value page = e.loadIndex(op.getPageTable(), e.add(op.getFirstPage(), chunk));
        Value keys = e.add(e.mul(page, op.getPageStride()), op.getPageBase());
        Value values = e.add(keys, e.index(dims * kPageTokens * 2));
        Value base = e.mul(chunk, pageTokens);
        Value from = e.maximum(e.sub(e.maximum(lowest, base), base), zero); // visible keys of the chunk: [from, to)
        Value to = e.minimum(e.add(e.sub(position, base), e.index(1)), pageTokens);

        // s[t] = Σ_j q[j]·k[t][j], lanes are keys
        SmallVector<Value> scores = e.forCarrying(
            zero, e.index(dims), 1, SmallVector<Value>(keyVectors, e.lanes(0)), [&](Emit &e, Value j, ValueRange acc) {
              Value q = e.splat(e.b.create<memref::LoadOp>(e.loc, query, ValueRange{j}));
              Value row = e.add(keys, e.mul(j, e.index(kPageTokens * 2)));
              SmallVector<Value> next;
              for (int64_t i = 0; i < keyVectors; ++i)
                next.push_back(e.fma(q, widen(e, op.getKv(), e.add(row, e.index(32 * i))), acc[i]));
              return next;
            });
        EmitOps lanes{e, e.lanesType()};
        if (op.getSoftCap()) {
          Value cap = e.lanes(op.getSoftCap()->convertToFloat());
          for (Value &s : scores)
            s = e.mulf(cap, math::tanh(lanes, e.divf(s, cap)));
        }
        for (int64_t i = 0; i < keyVectors; ++i) {
          Value below = e.b.create<vector::CreateMaskOp>(e.loc, e.vectorType(16, e.b.getI1Type()), e.sub(to, e.index(16 * i)));
          Value visible = below;
          if (op.getWindow()) {
            Value before =
                e.b.create<vector::CreateMaskOp>(e.loc, e.vectorType(16, e.b.getI1Type()), e.sub(from, e.index(16 * i)));
            Value ones = e.b.create<arith::ConstantOp>(e.loc, DenseElementsAttr::get(e.vectorType(16, e.b.getI1Type()), true));
            visible = e.b.create<arith::AndIOp>(e.loc, below, e.b.create<arith::XOrIOp>(e.loc, before, ones));
          }
          scores[i] = e.select(visible, scores[i], e.splat(minusInfinity));
        }
        Value best = scores[0];
        for (int64_t i = 1; i < keyVectors; ++i)
          best = lanes.selectLess(best, scores[i], scores[i], best);
        Value m = e.b.create<vector::ReductionOp>(e.loc, vector::CombiningKind::MAXNUMF, best);
        Value sum = e.lanes(0);
        for (int64_t i = 0; i < keyVectors; ++i) {
          Value p = math::exp(lanes, e.subf(scores[i], e.splat(m)));
          sum = e.addf(sum, p);
          e.store(p, weights, {e.index(16 * i)});
        }
        Value l = foldLanes(e, sum);

        // Merge into the running state; the first chunk is copied.
        Value first = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, chunk, firstChunk);
        EmitOps scalars{e, e.b.getF32Type()};
        Value biggest = scalars.selectLess(carried[0], m, m, carried[0]);
        Value a = math::exp(scalars, e.subf(carried[0], biggest)), b = math::exp(scalars, e.subf(m, biggest));
        Value nextSum = e.select(first, l, e.fma(carried[1], a, e.mulf(l, b)));
        Value aLanes = e.splat(a), bLanes = e.splat(b);

        // o[j] = Σ_t p[t]·v[t][j], lanes are features; four vectors at a time stay in registers
        for (int64_t start = 0; start < vectors; start += 4) {
          int64_t count = std::min<int64_t>(4, vectors - start);
          SmallVector<Value> o =
              e.forCarrying(from, to, 1, SmallVector<Value>(count, e.lanes(0)), [&](Emit &e, Value t, ValueRange acc) {
                Value p = e.splat(e.b.create<memref::LoadOp>(e.loc, weights, ValueRange{t}));
                Value row = e.add(values, e.mul(t, e.index(2 * dims)));
                SmallVector<Value> next;
                for (int64_t i = 0; i < count; ++i)
                  next.push_back(e.fma(p, widen(e, op.getKv(), e.add(row, e.index(32 * (start + i)))), acc[i]));
                return next;
              });
          for (int64_t i = 0; i < count; ++i) {
            Value at = e.index(16 * (start + i));
            Value merged = e.fma(e.load(total, {at}), aLanes, e.mulf(o[i], bLanes));
            e.store(e.select(first, o[i], merged), total, {at});
          }
        }
        return SmallVector<Value>{e.select(first, m, biggest), nextSum};
      });

  Value sum = e.splat(state[1]);
  auto result = [&](Emit &e, int64_t i) { return e.divf(e.load(total, {e.index(16 * i)}), sum); };
  if (cast<MemRefType>(op.getOut().getType()).getRank() == 3) {
    Value block = e.mul(op.getHead(), e.index(dims / 32));
    for (int64_t i = 0; i < vectors; i += 2)
      emitQuantizeBlock(e, result(e, i), result(e, i + 1), op.getOut(), op.getToken(), e.add(block, e.index(i / 2)));
  } else {
    Value column = e.mul(op.getHead(), e.index(dims));
    for (int64_t i = 0; i < vectors; ++i)
      e.store(result(e, i), op.getOut(), {op.getToken(), e.add(column, e.index(16 * i))});
  }
}
