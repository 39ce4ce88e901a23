//===- AttentionTiles.cpp - cache write and online-softmax attention -------------------------------------------------===//
//
// A tile holds some queries that read the same KV head of the same sequence: query heads of a token, or (token, head) pairs of a
// prompt. Each key and value is widened once for all of them. A chunk of keys gives each query a state (m, l, o); long prompts
// merge it at once (tile_attention), steps of few tokens let every thread make the states of some chunks and merge them
// afterwards (tile_attend_chunks, tile_merge_chunks): the same states in the same order, so the same bits.
//
// A page of a KV head holds 64 positions: K transposed [head_dim][64], so that lanes are keys when scores are made, then V
// [64][head_dim], so that lanes are features when values are added, as f16 or as int8 with scales (runtime/plan/StepAbi.h). A
// page is one chunk of docs/arithmetic.md.
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

namespace {
/// Where things lie in the page of a KV head (runtime/plan/StepAbi.h), all in bytes.
struct PageLayout {
  int64_t dims;
  bool q8;
  int64_t elementBytes() const { return q8 ? 1 : 2; }
  int64_t keyScales() const { return dims * kPageTokens * elementBytes(); } // q8: after the keys
  int64_t values() const { return headPageBytes(dims, q8 ? KvType::Q8 : KvType::F16) / 2; }
  int64_t valueScales() const { return values() + keyScales(); }
};
} // namespace

/// One token's key or value as it is cached: bytes of vectors of 16 elements, and with q8 a scale for each block of 32.
static SmallVector<Value> toCache(Emit &e, ArrayRef<Value> head, const PageLayout &layout, SmallVector<Value> &scales) {
  SmallVector<Value> stored;
  if (!layout.q8) {
    for (Value v : head) { // an infinity would spoil the queries of a tile that do not see it
      EmitOps lanes{e, v.getType()};
      v = lanes.selectLess(lanes.constant(65504), v, lanes.constant(65504), v);
      v = lanes.selectLess(v, lanes.constant(-65504), lanes.constant(-65504), v);
      stored.push_back(e.b.create<arith::TruncFOp>(e.loc, e.vectorType(16, e.b.getF16Type()), v));
    }
    return stored;
  }
  scales.clear();
  for (; !head.empty(); head = head.drop_front(std::min<size_t>(2, head.size()))) {
    QuantizedLanes block = emitQuantize(e, head.take_front(2));
    scales.push_back(block.d);
    for (Value q : block.codes)
      stored.push_back(e.b.create<arith::TruncIOp>(e.loc, e.vectorType(16, e.b.getI8Type()), q));
  }
  return stored;
}

void heddle::emitStoreKv(Emit &e, TileStoreKvOp op) {
  int64_t dims = op.getHeadDim();
  PageLayout layout{dims, op.getType() == CacheType::Q8};
  int64_t bytes = layout.elementBytes();
  Type element = layout.q8 ? Type(e.b.getI8Type()) : e.b.getF16Type();
  HeadPrologue prologue{op.getKNorm(),   op.getRope(), op.getRopeOffset(), dims, static_cast<int64_t>(op.getRopeDims()),
                        op.getNormEps(), op.getStyle()};
  Value slot = e.rem(op.getPosition(), e.index(kPageTokens));
  SmallVector<Value> scales;
  auto storeScales = [&](int64_t first, int64_t blockStride, int64_t slotStride) { // in bytes
    Value at = e.add(e.add(op.getPage(), e.index(first)), e.mul(slot, e.index(slotStride)));
    for (auto [block, scale] : llvm::enumerate(scales))
      e.storeBytes(e.splat(scale, 1), op.getKv(), {e.add(at, e.index(static_cast<int64_t>(block) * blockStride))});
  };
  Value keyAt = e.add(op.getPage(), e.mul(slot, e.index(bytes)));
  // A key's elements lie a page row apart. They go through the stack and a loop, as LLVM takes quadratic time over hundreds of
  // stores in a row.
  Value key = e.stackBuffer(op, MemRefType::get({bytes * dims}, e.b.getI8Type()));
  auto keys = loadHead(e, op.getKeys(), op.getToken(), op.getHead(), op.getPosition(), prologue);
  for (auto [i, v] : llvm::enumerate(toCache(e, keys, layout, scales)))
    e.storeBytes(v, key, {e.index(16 * bytes * static_cast<int64_t>(i))});
  e.forLoop(e.index(0), e.index(dims), 1, [&](Emit &e, Value j) {
    e.storeBytes(e.loadBytes(key, {e.mul(j, e.index(bytes))}, bytes, element), op.getKv(),
                 {e.add(keyAt, e.mul(j, e.index(kPageTokens * bytes)))});
  });
  storeScales(layout.keyScales(), 4 * kPageTokens, 4);
  Value valueAt = e.add(e.add(op.getPage(), e.index(layout.values())), e.mul(slot, e.index(bytes * dims)));
  HeadPrologue raw{Value(), Value(), Value(), dims, 0, std::nullopt, std::nullopt};
  auto values = loadHead(e, op.getValues(), op.getToken(), op.getHead(), op.getPosition(), raw);
  for (auto [i, v] : llvm::enumerate(toCache(e, values, layout, scales)))
    e.storeBytes(v, op.getKv(), {e.add(valueAt, e.index(16 * bytes * static_cast<int64_t>(i)))});
  storeScales(layout.valueScales(), 4, 4 * kvBlocks(dims));
}

/// 16 elements of a page, with q8 times their scale or scales.
static Value widen(Emit &e, Value kv, Value at, Value scales) {
  if (!scales)
    return e.b.create<arith::ExtFOp>(e.loc, e.lanesType(), e.loadBytes(kv, {at}, 32, e.b.getF16Type()));
  Value codes = e.b.create<arith::ExtSIOp>(e.loc, e.vectorType(16, e.b.getI32Type()), e.loadBytes(kv, {at}, 16, e.b.getI8Type()));
  return e.mulf(e.b.create<arith::SIToFPOp>(e.loc, e.lanesType(), codes), scales);
}

/// The largest of 16 lanes, by halves: as a reduction LLVM would compare them one after another, 16 latencies long.
static Value foldMaximum(Emit &e, Value v) {
  for (int64_t width : {8, 4, 2, 1}) {
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < width; ++i)
      low.push_back(i), high.push_back(i + width);
    Value a = e.shuffle(v, v, low), b = e.shuffle(v, v, high);
    v = EmitOps{e, a.getType()}.selectLess(a, b, b, a);
  }
  return e.extract(v, 0);
}

namespace {
/// The chunk of keys that a query's first visible one lies in, and the end of its chunks.
std::pair<Value, Value> visibleChunks(Emit &e, Value lowest, Value position) {
  Value tokens = e.index(kPageTokens);
  return {e.div(lowest, tokens), e.add(e.div(position, tokens), e.index(1))};
}

/// Some queries that read the same keys and values. Lane i of a vector of `lanes` below belongs to query i.
template <class Op> class AttentionTile {
public:
  /// Loads the queries, [queries][head_dim] f32, normed, rotated and scaled, onto the stack.
  AttentionTile(Emit &e, Op op)
      : op_(op), dims_(op.getHeadDim()), queries_(op.getTokens().size()), layout_{dims_, op.getType() == CacheType::Q8} {
    query_ = stack(e, queries_ * dims_);
    weights_ = stack(e, queries_ * kPageTokens);
    HeadPrologue prologue{op.getQNorm(),   op.getRope(), op.getRopeOffset(), dims_, static_cast<int64_t>(op.getRopeDims()),
                          op.getNormEps(), op.getStyle()};
    Value scale = e.lanes(op.getScale().convertToFloat());
    for (int64_t m = 0; m < queries_; ++m) {
      Value position = op.getPositions()[m];
      for (auto [i, v] : llvm::enumerate(loadHead(e, op.getQuery(), op.getTokens()[m], op.getHeads()[m], position, prologue)))
        e.store(e.mulf(v, scale), query_, {e.index(m * dims_ + 16 * static_cast<int64_t>(i))});
      Value lowest = e.index(0); // first visible position
      if (op.getWindow())
        lowest = e.maximum(e.sub(position, e.index(op.getWindow() - 1)), lowest);
      lowest_.push_back(lowest);
      chunks_.push_back(visibleChunks(e, lowest, position));
    }
  }

  Value stack(Emit &e, int64_t floats) { return e.stackBuffer(op_, MemRefType::get({floats}, e.b.getF32Type())); }
  int64_t dims() const { return dims_; }
  int64_t queries() const { return queries_; }
  /// Chunks that any query of the tile sees: positions do not decrease.
  Value firstChunk() const { return chunks_.front().first; }
  Value endChunk() const { return chunks_.back().second; }
  /// Whether a query sees a key of the chunk, and whether it is the first that it sees.
  Value sees(Emit &e, int64_t m, Value chunk) const {
    return e.b.create<arith::AndIOp>(e.loc, e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::sge, chunk, chunks_[m].first),
                                     e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::slt, chunk, chunks_[m].second));
  }
  Value isFirst(Emit &e, int64_t m, Value chunk) const {
    return e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, chunk, chunks_[m].first);
  }

  /// The state of each query after this chunk alone: m and l are returned, o is stored at at[m] of `out`. A query that sees
  /// nothing of the chunk gets m = −∞, l = 0, o = 0. With `next`, a chunk: values are prefetched while scores are made, and the
  /// keys of `next` while values are added, as pages lie apart and a long context comes from memory.
  std::pair<SmallVector<Value>, SmallVector<Value>> attend(Emit &e, Value chunk, Value out, ArrayRef<Value> at, Value next = {}) {
    Value keys = pageOf(e, chunk), values = e.add(keys, e.index(layout_.values()));
    scores(e, keys, next ? values : Value());
    Value base = e.mul(chunk, e.index(kPageTokens));
    SmallVector<Value> maxima, sums;
    for (int64_t m = 0; m < queries_; ++m) {
      auto [maximum, sum] = softmax(e, m, chunk, base);
      maxima.push_back(maximum), sums.push_back(sum);
    }
    // Positions do not decrease: the first query sees the earliest key of any, the last one the latest.
    addValues(e, values, from(e, 0, base), to(e, queries_ - 1, base), out, at, next ? pageOf(e, next) : Value());
    return {maxima, sums};
  }

private:
  // Keys of the chunk that query m sees: [from, to).
  Value from(Emit &e, int64_t m, Value base) { return e.sub(e.maximum(lowest_[m], base), base); }
  Value to(Emit &e, int64_t m, Value base) {
    return e.minimum(e.add(e.sub(op_.getPositions()[m], base), e.index(1)), e.index(kPageTokens));
  }

  /// Where the KV head's page for a chunk begins: its keys.
  Value pageOf(Emit &e, Value chunk) {
    Value page = e.loadIndex(op_.getPageTable(), e.add(op_.getFirstPage(), chunk));
    return e.add(e.mul(page, op_.getPageStride()), op_.getPageBase());
  }

  // Keys are half of a page, values the other. The loops below go `turns` times through head_dim or 64 steps of register tiles;
  // every step prefetches its share of what comes next.
  void prefetchShare(Emit &e, Value buffer, Value turn, Value step, int64_t steps, int64_t turns) {
    int64_t lines = llvm::divideCeil(layout_.values() / 64, steps * turns);
    Value at = e.add(buffer, e.mul(e.add(e.mul(turn, e.index(steps)), step), e.index(64 * lines)));
    for (int64_t line = 0; line < lines; ++line)
      e.prefetch(op_.getKv(), {e.add(at, e.index(64 * line))});
  }

  /// weights[m][t] = Σ_j q[m][j]·k[t][j], lanes are keys.
  void scores(Emit &e, Value keys, Value ahead) {
    int64_t width = op_.getVectors();
    e.forLoop(e.index(0), e.index(kPageTokens), 16 * width, [&](Emit &e, Value t) {
      Value column = e.add(keys, e.mul(t, e.index(layout_.elementBytes())));
      SmallVector<Value> scales(width);
      auto features = [&](Emit &e, Value from, Value to, ValueRange start) {
        return e.forCarrying(from, to, 1, start, [&](Emit &e, Value j, ValueRange acc) {
          if (ahead)
            prefetchShare(e, ahead, e.div(t, e.index(16 * width)), j, dims_, kPageTokens / (16 * width));
          Value row = e.add(column, e.mul(j, e.index(kPageTokens * layout_.elementBytes())));
          SmallVector<Value> k, next;
          for (int64_t i = 0; i < width; ++i)
            k.push_back(widen(e, op_.getKv(), e.add(row, e.index(16 * layout_.elementBytes() * i)), scales[i]));
          for (int64_t m = 0; m < queries_; ++m) {
            Value q = e.splat(e.b.create<memref::LoadOp>(e.loc, query_, ValueRange{e.add(e.index(m * dims_), j)}));
            for (int64_t i = 0; i < width; ++i)
              next.push_back(e.fma(q, k[i], acc[m * width + i]));
          }
          return next;
        });
      };
      SmallVector<Value> sums(queries_ * width, e.lanes(0));
      if (layout_.q8)
        sums = e.forCarrying(e.index(0), e.index(kvBlocks(dims_)), 1, sums, [&](Emit &e, Value block, ValueRange acc) {
          for (int64_t i = 0; i < width; ++i) { // a scale for each key, which are the lanes
            Value at = e.add(e.add(keys, e.index(layout_.keyScales() + 64 * i)), e.mul(t, e.index(4)));
            scales[i] = e.loadBytes(op_.getKv(), {e.add(at, e.mul(block, e.index(4 * kPageTokens)))}, 64, e.b.getF32Type());
          }
          Value from = e.mul(block, e.index(32));
          return features(e, from, e.minimum(e.add(from, e.index(32)), e.index(dims_)), acc);
        });
      else
        sums = features(e, e.index(0), e.index(dims_), sums);
      for (int64_t m = 0; m < queries_; ++m)
        for (int64_t i = 0; i < width; ++i)
          e.store(sums[m * width + i], weights_, {e.add(t, e.index(m * kPageTokens + 16 * i))});
    });
  }

  /// Scores become weights p, +0 for keys that the query does not see. Returns their maximum and the sum of the weights.
  std::pair<Value, Value> softmax(Emit &e, int64_t m, Value chunk, Value base) {
    constexpr int64_t vectors = kPageTokens / 16;
    EmitOps lanes{e, e.lanesType()};
    VectorType bits = e.vectorType(16, e.b.getI1Type());
    auto at = [&](int64_t i) { return e.index(m * kPageTokens + 16 * i); };
    Value end = to(e, m, base);
    SmallVector<Value> s;
    for (int64_t i = 0; i < vectors; ++i) {
      Value v = e.load(weights_, {at(i)});
      if (op_.getSoftCap()) {
        Value cap = e.lanes(op_.getSoftCap()->convertToFloat());
        v = e.mulf(cap, heddle::math::tanh(lanes, e.divf(v, cap)));
      }
      Value visible = e.b.create<vector::CreateMaskOp>(e.loc, bits, e.sub(end, e.index(16 * i)));
      if (op_.getWindow()) {
        Value before = e.b.create<vector::CreateMaskOp>(e.loc, bits, e.sub(from(e, m, base), e.index(16 * i)));
        Value ones = e.b.create<arith::ConstantOp>(e.loc, DenseElementsAttr::get(bits, true));
        visible = e.b.create<arith::AndIOp>(e.loc, visible, e.b.create<arith::XOrIOp>(e.loc, before, ones));
      }
      s.push_back(e.select(visible, v, e.lanes(-INFINITY)));
    }
    Value best = s[0];
    for (int64_t i = 1; i < vectors; ++i)
      best = lanes.selectLess(best, s[i], s[i], best);
    Value maximum = foldMaximum(e, best);
    // Where nothing is visible the maximum is −∞, and −∞ − −∞ no number.
    Value finite = queries_ == 1 ? maximum : e.select(sees(e, m, chunk), maximum, e.f32(0));
    Value sum = e.lanes(0);
    for (int64_t i = 0; i < vectors; ++i) {
      Value p = heddle::math::exp(lanes, e.subf(s[i], e.splat(finite)));
      sum = e.addf(sum, p);
      e.store(p, weights_, {at(i)});
    }
    return {maximum, foldLanes(e, sum)};
  }

  /// The scale of the i-th vector from `feature` on, of one value.
  Value valueScale(Emit &e, Value values, Value t, Value feature, int64_t i) {
    Value block = e.add(e.add(e.mul(t, e.index(kvBlocks(dims_))), e.div(feature, e.index(32))), e.index(i / 2));
    Value at = e.add(e.add(values, e.index(layout_.keyScales())), e.mul(block, e.index(4)));
    return e.splat(e.extract(e.loadBytes(op_.getKv(), {at}, 4, e.b.getF32Type()), 0));
  }

  /// out[at[m] + j] = Σ_t p[m][t]·v[t][j], lanes are features. A key that only other queries of the tile see adds +0 times a
  /// finite value: nothing, but that a sum of −0 becomes +0, which no product can tell apart.
  void addValues(Emit &e, Value values, Value from, Value to, Value out, ArrayRef<Value> at, Value ahead) {
    auto block = [&](Emit &e, Value feature, int64_t width) {
      Value column = e.add(values, e.mul(feature, e.index(layout_.elementBytes())));
      SmallVector<Value> sums =
          e.forCarrying(from, to, 1, SmallVector<Value>(queries_ * width, e.lanes(0)), [&](Emit &e, Value t, ValueRange acc) {
            if (ahead)
              prefetchShare(e, ahead, e.div(feature, e.index(16 * width)), t, kPageTokens, dims_ / (16 * width));
            Value row = e.add(column, e.mul(t, e.index(layout_.elementBytes() * dims_)));
            SmallVector<Value> v, next;
            for (int64_t i = 0; i < width; ++i)
              v.push_back(widen(e, op_.getKv(), e.add(row, e.index(16 * layout_.elementBytes() * i)),
                                layout_.q8 ? valueScale(e, values, t, feature, i) : Value()));
            for (int64_t m = 0; m < queries_; ++m) {
              Value p = e.splat(e.b.create<memref::LoadOp>(e.loc, weights_, ValueRange{e.add(e.index(m * kPageTokens), t)}));
              for (int64_t i = 0; i < width; ++i)
                next.push_back(e.fma(p, v[i], acc[m * width + i]));
            }
            return next;
          });
      for (int64_t m = 0; m < queries_; ++m)
        for (int64_t i = 0; i < width; ++i)
          e.store(sums[m * width + i], out, {e.add(e.add(at[m], feature), e.index(16 * i))});
    };
    int64_t width = std::min<int64_t>(op_.getVectors(), dims_ / 16), whole = dims_ / (16 * width) * (16 * width);
    e.forLoop(e.index(0), e.index(whole), 16 * width, [&](Emit &e, Value feature) { block(e, feature, width); });
    if (whole < dims_)
      block(e, e.index(whole), (dims_ - whole) / 16);
  }

  Op op_;
  int64_t dims_, queries_;
  PageLayout layout_;
  Value query_, weights_; // f32 [queries · head_dim], [queries · 64]
  SmallVector<Value> lowest_;
  SmallVector<std::pair<Value, Value>> chunks_;
};

/// The running state of one query, o excepted: both scalars.
struct Running {
  Value m, l;
};
/// How a chunk's state enters it: O' = O·a + o·b, or a copy of o for the first chunk.
struct Merge {
  Running next;
  Value a, b; // vectors of 16 equal lanes
};

/// Merges chunk states into running states, query by query; the exponentials of all queries are lanes of one vector.
SmallVector<Merge> mergeStates(Emit &e, ArrayRef<Running> running, ArrayRef<Value> m, ArrayRef<Value> l, ArrayRef<Value> first) {
  EmitOps scalars{e, e.b.getF32Type()}, lanes{e, e.lanesType()};
  int64_t count = static_cast<int64_t>(running.size());
  SmallVector<Value> biggest;
  Value exponents = e.lanes(0);
  for (int64_t i = 0; i < count; ++i) {
    biggest.push_back(scalars.selectLess(running[i].m, m[i], m[i], running[i].m));
    exponents = e.b.create<vector::InsertOp>(e.loc, e.subf(running[i].m, biggest[i]), exponents, i);
    exponents = e.b.create<vector::InsertOp>(e.loc, e.subf(m[i], biggest[i]), exponents, 8 + i);
  }
  Value factors = heddle::math::exp(lanes, exponents);
  SmallVector<Merge> merges;
  for (int64_t i = 0; i < count; ++i) {
    Value a = e.extract(factors, i), b = e.extract(factors, 8 + i);
    Value sum = e.select(first[i], l[i], e.fma(running[i].l, a, e.mulf(l[i], b)));
    merges.push_back({{e.select(first[i], m[i], biggest[i]), sum}, e.splat(a), e.splat(b)});
  }
  return merges;
}

/// total[at …] = O / L, stored as the head's result, requantised where that is q8.
void finishHead(Emit &e, Value total, Value at, Value sum, Value out, Value token, Value head, int64_t dims) {
  sum = e.splat(sum);
  auto result = [&](Emit &e, int64_t i) { return e.divf(e.load(total, {e.add(at, e.index(16 * i))}), sum); };
  if (cast<MemRefType>(out.getType()).getRank() == 3) {
    Value block = e.mul(head, e.index(dims / 32));
    for (int64_t i = 0; i < dims / 16; i += 2)
      emitQuantizeBlock(e, result(e, i), result(e, i + 1), out, token, e.add(block, e.index(i / 2)));
    return;
  }
  Value column = e.mul(head, e.index(dims));
  for (int64_t i = 0; i < dims / 16; ++i)
    e.store(result(e, i), out, {token, e.add(column, e.index(16 * i))});
}
} // namespace

void heddle::emitAttention(Emit &e, TileAttentionOp op) {
  AttentionTile<TileAttentionOp> tile(e, op);
  int64_t dims = tile.dims(), queries = tile.queries();
  Value part = tile.stack(e, queries * dims), total = tile.stack(e, queries * dims); // o of a chunk, and O
  SmallVector<Value> at, start;
  for (int64_t m = 0; m < queries; ++m) {
    at.push_back(e.index(m * dims));
    start.append({e.f32(-INFINITY), e.f32(0)});
  }
  SmallVector<Value> state =
      e.forCarrying(tile.firstChunk(), tile.endChunk(), 1, start, [&](Emit &e, Value chunk, ValueRange carried) {
        auto [m, l] = tile.attend(e, chunk, part, at);
        SmallVector<Running> running;
        SmallVector<Value> first, seen, next;
        for (int64_t i = 0; i < queries; ++i) {
          running.push_back({carried[2 * i], carried[2 * i + 1]});
          first.push_back(tile.isFirst(e, i, chunk));
          seen.push_back(tile.sees(e, i, chunk));
        }
        SmallVector<Merge> merges = mergeStates(e, running, m, l, first);
        e.forLoop(e.index(0), e.index(dims), 16, [&](Emit &e, Value j) {
          for (int64_t i = 0; i < queries; ++i) {
            Value here = e.add(at[i], j), o = e.load(part, {here}), before = e.load(total, {here});
            Value merged = e.select(first[i], o, e.fma(before, merges[i].a, e.mulf(o, merges[i].b)));
            e.store(queries == 1 ? merged : e.select(seen[i], merged, before), total, {here});
          }
        });
        for (int64_t i = 0; i < queries; ++i) {
          Running after = merges[i].next;
          if (queries > 1)
            after = {e.select(seen[i], after.m, running[i].m), e.select(seen[i], after.l, running[i].l)};
          next.append({after.m, after.l});
        }
        return next;
      });
  for (int64_t m = 0; m < queries; ++m)
    finishHead(e, total, at[m], state[2 * m + 1], op.getOut(), op.getTokens()[m], op.getHeads()[m], dims);
}

void heddle::emitAttendChunks(Emit &e, TileAttendChunksOp op) {
  AttentionTile<TileAttendChunksOp> tile(e, op);
  e.forLoop(op.getFrom(), op.getTo(), 1, [&](Emit &e, Value chunk) {
    SmallVector<Value> at;
    for (int64_t m = 0; m < tile.queries(); ++m)
      at.push_back(
          e.add(e.add(op.getState(), e.mul(op.getHeadStride(), e.index(m))), e.mul(chunk, e.index(partialFloats(tile.dims())))));
    Value next = e.minimum(e.add(chunk, e.index(1)), e.sub(op.getTo(), e.index(1)));
    auto [maxima, sums] = tile.attend(e, chunk, op.getPartials(), at, next);
    for (int64_t m = 0; m < tile.queries(); ++m) {
      Value end = e.add(at[m], e.index(tile.dims()));
      e.b.create<memref::StoreOp>(e.loc, maxima[m], op.getPartials(), ValueRange{end});
      e.b.create<memref::StoreOp>(e.loc, sums[m], op.getPartials(), ValueRange{e.add(end, e.index(1))});
    }
  });
}

void heddle::emitMergeChunks(Emit &e, TileMergeChunksOp op) {
  int64_t dims = op.getHeadDim();
  Value total = e.stackBuffer(op, MemRefType::get({dims}, e.b.getF32Type()));
  auto at = [&](Emit &e, Value chunk) { return e.add(op.getState(), e.mul(chunk, e.index(partialFloats(dims)))); };
  auto scalar = [&](Emit &e, Value at) {
    return e.b.create<memref::LoadOp>(e.loc, op.getPartials(), ValueRange{at}).getResult();
  };
  SmallVector<Value> state =
      e.forCarrying(op.getFrom(), op.getTo(), 1, {e.f32(-INFINITY), e.f32(0)}, [&](Emit &e, Value chunk, ValueRange carried) {
        Value state = at(e, chunk), end = e.add(state, e.index(dims));
        Value first = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, chunk, op.getFrom());
        Merge merge =
            mergeStates(e, Running{carried[0], carried[1]}, scalar(e, end), scalar(e, e.add(end, e.index(1))), first)[0];
        e.forLoop(e.index(0), e.index(dims), 16, [&](Emit &e, Value j) {
          Value o = e.load(op.getPartials(), {e.add(state, j)});
          e.store(e.select(first, o, e.fma(e.load(total, {j}), merge.a, e.mulf(o, merge.b))), total, {j});
        });
        return SmallVector<Value>{merge.next.m, merge.next.l};
      });
  finishHead(e, total, e.index(0), state[1], op.getOut(), op.getToken(), op.getHead(), dims);
}
