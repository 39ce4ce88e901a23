//===- AttentionTiles.cpp - cache write and online-softmax attention -------------------------------------------------===//
//
// A tile holds some queries that read the same KV head of the same sequence: query heads of a token, or (token, head) pairs of a
// prompt. Each key and value comes from memory once for all of them. A chunk of keys gives each query a state (m, l, o); long
// prompts merge it at once (tile_attention), steps of few tokens let every thread make the states of some chunks and merge them
// afterwards (tile_attend_chunks, tile_merge_chunks): the same states in the same order, so the same bits.
//
// A page of a KV head holds 64 positions: K transposed [head_dim][64], so that lanes are keys when scores are made, then V
// [64][head_dim], so that lanes are features when values are added, as f16 or as int8 with scales (runtime/plan/Frame.h). A
// page is one chunk of docs/arithmetic.md.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/lowering/Tiles.h"
#include "runtime/math/Functions.h"
#include "runtime/plan/Frame.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// Element p turns with p + dims/2, and a half is no whole number of vectors: the vector in the middle holds eights of both.
static void rotateOddHalves(Emit &e, SmallVector<Value> &v, llvm::function_ref<Value(int64_t)> row, int64_t dims,
                            ArrayRef<int64_t> even, ArrayRef<int64_t> odd) {
  const int64_t half = dims / 16; // in eights
  const SmallVector<Value> old(v);
  for (int64_t i = 0; i < dims / 16; ++i) {
    const bool low = 2 * i < half, high = 2 * i + 1 < half; // whether the vector's eights are of the first half
    auto partner = [&](int64_t eight) { return eight < half ? eight + half : eight - half; };
    const int64_t p = partner(2 * i), q = partner(2 * i + 1);
    SmallVector<int64_t> halves, mix;
    for (int64_t j = 0; j < 8; ++j)
      halves.push_back(p % 2 * 8 + j), mix.push_back(j);
    for (int64_t j = 0; j < 8; ++j)
      halves.push_back(16 + q % 2 * 8 + j), mix.push_back(16 + 8 + j);
    Value other = e.shuffle(old[p / 2], old[q / 2], halves);
    Value lowAngles = row(8 * (low ? 2 * i : p)), highAngles = row(8 * (high ? 2 * i + 1 : q));
    Value cosines = e.shuffle(lowAngles, highAngles, even), sines = e.shuffle(lowAngles, highAngles, odd);
    auto first = [&] { return e.fma(old[i], cosines, e.negf(e.mulf(other, sines))); };
    auto second = [&] { return e.fma(other, sines, e.mulf(old[i], cosines)); };
    v[i] = low && high ? first() : !low && !high ? second() : e.shuffle(first(), second(), mix);
  }
}

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
  SmallVector<int64_t> even, odd;
  for (int64_t j = 0; j < 16; ++j)
    even.push_back(2 * j), odd.push_back(2 * j + 1);
  if (dims % 32)
    return rotateOddHalves(e, v, row, dims, even, odd);
  int64_t half = dims / 32;
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
    rotate(e, v, p.rope, e.mul(position, e.index(p.ropeDims)), p.ropeDims, *p.style);
  return v;
}

void heddle::emitRope(Emit &e, TileRopeOp op) {
  HeadPrologue prologue{Value(),      op.getRope(), static_cast<int64_t>(op.getHeadDim()), static_cast<int64_t>(op.getRopeDims()),
                        std::nullopt, op.getStyle()};
  Value column = e.mul(op.getHead(), e.index(op.getHeadDim()));
  auto head = loadHead(e, op.getInput(), op.getToken(), op.getHead(), op.getPosition(), prologue);
  for (auto [i, v] : llvm::enumerate(head))
    e.store(v, op.getOut(), {op.getToken(), e.add(column, e.index(16 * static_cast<int64_t>(i)))});
}

namespace {
/// Where things lie in the page of a KV head (runtime/plan/Frame.h), all in bytes.
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
  HeadPrologue prologue{op.getKNorm(),   op.getRope(), dims, static_cast<int64_t>(op.getRopeDims()),
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
  HeadPrologue raw{Value(), Value(), dims, 0, std::nullopt, std::nullopt};
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

/// Lane i of the result is fold i: v[i], 16 lanes, combined by halves in the order of foldLanes. Up to 16 of them at once share
/// every step, where one after another each would take four steps over ever fewer lanes.
static Value foldEach(Emit &e, SmallVector<Value> v, llvm::function_ref<Value(Value, Value)> combine) {
  for (int64_t half = 8; half; half /= 2) { // a vector holds 16 / (2·half) of the v[i], of each 2·half lanes that are left
    SmallVector<int64_t> low, high;
    for (int64_t i = 0; i < 32; i += 2 * half)
      for (int64_t j = 0; j < half; ++j)
        low.push_back(i + j), high.push_back(i + half + j);
    SmallVector<Value> next;
    for (size_t i = 0; i < v.size(); i += 2) {
      Value x = v[i], y = v[std::min(i + 1, v.size() - 1)];
      next.push_back(combine(e.shuffle(x, y, low), e.shuffle(x, y, high)));
    }
    v = std::move(next);
  }
  return v[0];
}

/// Lanes 0 to 7 of x, then those of y.
static Value joinLow(Emit &e, Value x, Value y) {
  return e.shuffle(x, y, {0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23});
}
/// Lanes 8 to 15, in lanes 0 to 7 (and again above).
static Value upperHalf(Emit &e, Value v) { return e.shuffle(v, v, {8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15}); }

namespace {
/// The chunk of keys that a query's first visible one lies in, and the end of its chunks.
std::pair<Value, Value> visibleChunks(Emit &e, Value lowest, Value last) {
  Value tokens = e.index(kPageTokens);
  return {e.div(lowest, tokens), e.add(e.div(last, tokens), e.index(1))};
}

/// What a query's softmax has come to, o excepted: vectors of 16, lane i is query i, of at most 8.
struct SoftmaxState {
  Value m, l;
};

/// Some queries that read the same keys and values.
template <class Op> class AttentionTile {
public:
  /// Loads the queries, [queries][head_dim] f32, normed, rotated and scaled, onto the stack.
  AttentionTile(Emit &e, Op op)
      : op_(op), dims_(op.getHeadDim()), queries_(op.getTokens().size()), layout_{dims_, op.getType() == CacheType::Q8} {
    query_ = stack(e, queries_ * dims_);
    weights_ = stack(e, queries_ * kPageTokens);
    maxima_ = stack(e, 16);
    HeadPrologue prologue{op.getQNorm(),   op.getRope(), dims_, static_cast<int64_t>(op.getRopeDims()),
                          op.getNormEps(), op.getStyle()};
    Value scale = e.lanes(op.getScale().convertToFloat());
    for (int64_t m = 0; m < queries_; ++m) {
      Value position = op.getPositions()[m], last = op.getLength() ? e.sub(op.getLength(), e.index(1)) : position;
      for (auto [i, v] : llvm::enumerate(loadHead(e, op.getQuery(), op.getTokens()[m], op.getHeads()[m], position, prologue)))
        e.store(e.mulf(v, scale), query_, {e.index(m * dims_ + 16 * static_cast<int64_t>(i))});
      Value lowest = e.index(0); // first visible position
      if (op.getWindow())
        lowest = e.maximum(e.sub(last, e.index(op.getWindow() - 1)), lowest);
      lowest_.push_back(lowest), last_.push_back(last);
      chunks_.push_back(visibleChunks(e, lowest, last));
    }
    if (sameKeys())
      return;
    first_ = e.splat(e.i32(0)), end_ = first_;
    auto narrow = [&](Value x) { return e.b.create<arith::IndexCastOp>(e.loc, e.b.getI32Type(), x); };
    for (int64_t m = 0; m < queries_; ++m) {
      first_ = e.b.create<vector::InsertOp>(e.loc, narrow(chunks_[m].first), first_, m);
      end_ = e.b.create<vector::InsertOp>(e.loc, narrow(chunks_[m].second), end_, m);
    }
  }

  Value stack(Emit &e, int64_t floats) { return e.stackBuffer(op_, MemRefType::get({floats}, e.b.getF32Type())); }
  int64_t dims() const { return dims_; }
  int64_t queries() const { return queries_; }
  /// Whether all queries see the same keys: those of one token do, and those that no mask tells apart.
  bool sameKeys() { return op_.getLength() || llvm::all_equal(op_.getPositions()); }
  /// Chunks that any query of the tile sees: positions do not decrease.
  Value firstChunk() const { return chunks_.front().first; }
  Value endChunk() const { return chunks_.back().second; }
  /// Whether a query sees a key of the chunk, and whether it is the first that it sees. Of all queries: vectors of 16 i1, for a
  /// tile whose queries see different keys.
  Value sees(Emit &e, int64_t m, Value chunk) const {
    return e.b.create<arith::AndIOp>(e.loc, compare(e, arith::CmpIPredicate::sge, chunk, chunks_[m].first),
                                     compare(e, arith::CmpIPredicate::slt, chunk, chunks_[m].second));
  }
  Value isFirst(Emit &e, int64_t m, Value chunk) const { return compare(e, arith::CmpIPredicate::eq, chunk, chunks_[m].first); }
  Value eachSees(Emit &e, Value chunk) const {
    Value here = ofEach(e, chunk);
    return e.b.create<arith::AndIOp>(e.loc, compare(e, arith::CmpIPredicate::sge, here, first_),
                                     compare(e, arith::CmpIPredicate::slt, here, end_));
  }
  Value eachIsFirst(Emit &e, Value chunk) const { return compare(e, arith::CmpIPredicate::eq, ofEach(e, chunk), first_); }

  /// The state of each query after this chunk alone: m and l are returned, o is stored at at[m] of `out`. A query that sees
  /// nothing of the chunk gets m = −∞, l = 0, o = 0. With `next`, the chunk to follow, what is needed soon is prefetched.
  SoftmaxState attend(Emit &e, Value chunk, Value out, ArrayRef<Value> at, Value next = {}) {
    Value keys = pageOf(e, chunk), values = e.add(keys, e.index(layout_.values()));
    Value nextKeys = next ? pageOf(e, next) : Value(), nextValues = next ? e.add(nextKeys, e.index(layout_.values())) : Value();
    scores(e, keys, {next ? values : Value(), nextKeys});
    Value base = e.mul(chunk, e.index(kPageTokens));
    SoftmaxState state = softmax(e, chunk, base);
    // Positions do not decrease: the first query sees the earliest key of any, the last one the latest.
    addValues(e, values, from(e, lowest_.front(), base), to(e, last_.back(), base), out, at, {nextKeys, nextValues});
    return state;
  }

private:
  static Value compare(Emit &e, arith::CmpIPredicate predicate, Value x, Value y) {
    return e.b.create<arith::CmpIOp>(e.loc, predicate, x, y);
  }
  static Value ofEach(Emit &e, Value chunk) { return e.splat(e.b.create<arith::IndexCastOp>(e.loc, e.b.getI32Type(), chunk)); }

  // Keys of the chunk that a query sees: [from, to).
  static Value from(Emit &e, Value lowest, Value base) { return e.sub(e.maximum(lowest, base), base); }
  static Value to(Emit &e, Value last, Value base) {
    return e.minimum(e.add(e.sub(last, base), e.index(1)), e.index(kPageTokens));
  }
  /// Of each vector of keys of the chunk, which a query sees: vectors of 16 i1.
  SmallVector<Value> visible(Emit &e, Value lowest, Value last, Value base) {
    VectorType bits = e.vectorType(16, e.b.getI1Type());
    Value begin = op_.getWindow() ? from(e, lowest, base) : Value(), end = to(e, last, base);
    SmallVector<Value> masks;
    for (int64_t i = 0; i < kPageTokens; i += 16) {
      Value mask = e.b.create<vector::CreateMaskOp>(e.loc, bits, e.sub(end, e.index(i)));
      if (begin) {
        Value before = e.b.create<vector::CreateMaskOp>(e.loc, bits, e.sub(begin, e.index(i)));
        Value ones = e.b.create<arith::ConstantOp>(e.loc, DenseElementsAttr::get(bits, true));
        mask = e.b.create<arith::AndIOp>(e.loc, mask, e.b.create<arith::XOrIOp>(e.loc, before, ones));
      }
      masks.push_back(mask);
    }
    return masks;
  }

  /// Where the KV head's page for a chunk begins: its keys.
  Value pageOf(Emit &e, Value chunk) {
    Value page = e.loadIndex(op_.getPageTable(), e.add(op_.getFirstPage(), chunk));
    return e.add(e.mul(page, op_.getPageStride()), op_.getPageBase());
  }

  // Keys are half of a page, values the other. A long context comes from memory, and hardware does not see it coming, as pages
  // lie apart. So each half is asked for twice: into L2 a whole chunk ahead, into L1 while the half before it is in use. The
  // loops below go `turns` times through head_dim or 64 steps of register tiles; every step prefetches its share.
  struct Ahead {
    Value next, afterNext; // bytes in kv where the halves begin, or none
  };
  void prefetchShare(Emit &e, const Ahead &ahead, Value turn, Value step, int64_t steps, int64_t turns) {
    if (!ahead.next)
      return;
    int64_t share = llvm::divideCeil(layout_.values(), steps * turns); // bytes; of less than a line, some lines twice
    Value at = e.mul(e.add(e.mul(turn, e.index(steps)), step), e.index(share));
    for (int64_t line = 0; line < share; line += 64) {
      e.prefetch(op_.getKv(), {e.add(e.add(ahead.next, at), e.index(line))});
      e.prefetch(op_.getKv(), {e.add(e.add(ahead.afterNext, at), e.index(line))}, /*later=*/true);
    }
  }

  /// The queries in parts of `rows`, whose sums the registers hold at once: part(first, its queries).
  void ofRows(llvm::function_ref<void(int64_t, int64_t)> part) {
    int64_t rows = op_.getRows();
    for (int64_t first = 0; first < queries_; first += rows)
      part(first, std::min(rows, queries_ - first));
  }

  /// weights[m][t] = Σ_j q[m][j]·k[t][j], lanes are keys.
  void scores(Emit &e, Value keys, const Ahead &ahead) {
    int64_t width = op_.getVectors();
    e.forLoop(e.index(0), e.index(kPageTokens), 16 * width, [&](Emit &e, Value t) {
      ofRows([&](int64_t first, int64_t rows) { scoresOf(e, first, rows, keys, t, first ? Ahead() : ahead); });
    });
  }
  void scoresOf(Emit &e, int64_t first, int64_t rows, Value keys, Value t, const Ahead &ahead) {
    int64_t width = op_.getVectors();
    Value column = e.add(keys, e.mul(t, e.index(layout_.elementBytes())));
    SmallVector<Value> scales(width);
    auto features = [&](Emit &e, Value from, Value to, ValueRange start) {
      return e.forCarrying(from, to, 1, start, [&](Emit &e, Value j, ValueRange acc) {
        prefetchShare(e, ahead, e.div(t, e.index(16 * width)), j, dims_, kPageTokens / (16 * width));
        Value row = e.add(column, e.mul(j, e.index(kPageTokens * layout_.elementBytes())));
        SmallVector<Value> k, next;
        for (int64_t i = 0; i < width; ++i)
          k.push_back(widen(e, op_.getKv(), e.add(row, e.index(16 * layout_.elementBytes() * i)), scales[i]));
        for (int64_t m = 0; m < rows; ++m) {
          Value q = e.splat(e.loadScalar(query_, e.add(e.index((first + m) * dims_), j)));
          for (int64_t i = 0; i < width; ++i)
            next.push_back(e.fma(q, k[i], acc[m * width + i]));
        }
        return next;
      });
    };
    SmallVector<Value> sums(rows * width, e.lanes(0));
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
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t i = 0; i < width; ++i)
        e.store(sums[m * width + i], weights_, {e.add(t, e.index((first + m) * kPageTokens + 16 * i))});
  }

  /// Scores become weights p, +0 for keys that the query does not see. Returns their maxima and the sums of the weights.
  SoftmaxState softmax(Emit &e, Value chunk, Value base) {
    constexpr int64_t vectors = kPageTokens / 16;
    EmitOps lanes{e, e.lanesType()};
    auto larger = [&](Value x, Value y) { return lanes.selectLess(x, y, y, x); };
    auto at = [&](int64_t m, int64_t i) { return e.index(m * kPageTokens + 16 * i); };
    SmallVector<SmallVector<Value>> masks; // by query
    SmallVector<Value> best, sums;         // of each query, 16 lanes
    auto score = [&](int64_t m, int64_t i) { return e.select(masks[m][i], e.load(weights_, {at(m, i)}), e.lanes(-INFINITY)); };
    for (int64_t m = 0; m < queries_; ++m) {
      masks.push_back(m && sameKeys() ? masks[0] : visible(e, lowest_[m], last_[m], base));
      for (int64_t i = 0; i < vectors; ++i) {
        if (op_.getSoftCap()) {
          Value cap = e.lanes(op_.getSoftCap()->convertToFloat()), s = e.load(weights_, {at(m, i)});
          e.store(e.mulf(cap, heddle::math::tanh(lanes, e.divf(s, cap))), weights_, {at(m, i)});
        }
        Value s = score(m, i);
        if (i)
          best[m] = larger(best[m], s);
        else
          best.push_back(s);
      }
    }
    Value maxima = foldEach(e, best, larger);
    // Where nothing is visible the maximum is −∞, and −∞ − −∞ no number.
    e.store(sameKeys() ? maxima : e.select(eachSees(e, chunk), maxima, e.lanes(0)), maxima_, {e.index(0)});
    for (int64_t m = 0; m < queries_; ++m) {
      Value maximum = e.splat(e.loadScalar(maxima_, e.index(m))), sum = e.lanes(0);
      for (int64_t i = 0; i < vectors; ++i) {
        Value p = heddle::math::expUnsaturated(lanes, e.subf(score(m, i), maximum));
        e.store(p, weights_, {at(m, i)});
        sum = e.addf(sum, p);
      }
      sums.push_back(sum);
    }
    return {maxima, foldEach(e, sums, [&](Value x, Value y) { return e.addf(x, y); })};
  }

  /// The scale of the i-th vector from `feature` on, of one value.
  Value valueScale(Emit &e, Value values, Value t, Value feature, int64_t i) {
    Value block = e.add(e.add(e.mul(t, e.index(kvBlocks(dims_))), e.div(feature, e.index(32))), e.index(i / 2));
    Value at = e.add(e.add(values, e.index(layout_.keyScales())), e.mul(block, e.index(4)));
    return e.splat(e.extract(e.loadBytes(op_.getKv(), {at}, 4, e.b.getF32Type()), 0));
  }

  /// out[at[m] + j] = Σ_t p[m][t]·v[t][j], lanes are features. A key that only other queries of the tile see adds +0 times a
  /// finite value: nothing, but that a sum of −0 becomes +0, which no product can tell apart.
  void addValues(Emit &e, Value values, Value from, Value to, Value out, ArrayRef<Value> at, const Ahead &ahead) {
    int64_t width = std::min<int64_t>(op_.getVectors(), dims_ / 16), whole = dims_ / (16 * width) * (16 * width);
    e.forLoop(e.index(0), e.index(whole), 16 * width, [&](Emit &e, Value feature) {
      ofRows([&](int64_t first, int64_t rows) {
        valuesOf(e, first, rows, values, feature, width, from, to, out, at, first ? Ahead() : ahead);
      });
    });
    if (whole < dims_) // all of `ahead` is asked for
      ofRows([&](int64_t first, int64_t rows) {
        valuesOf(e, first, rows, values, e.index(whole), (dims_ - whole) / 16, from, to, out, at, Ahead());
      });
  }
  void valuesOf(Emit &e, int64_t first, int64_t rows, Value values, Value feature, int64_t width, Value from, Value to, Value out,
                ArrayRef<Value> at, const Ahead &ahead) {
    Value column = e.add(values, e.mul(feature, e.index(layout_.elementBytes())));
    SmallVector<Value> sums =
        e.forCarrying(from, to, 1, SmallVector<Value>(rows * width, e.lanes(0)), [&](Emit &e, Value t, ValueRange acc) {
          prefetchShare(e, ahead, e.div(feature, e.index(16 * width)), t, kPageTokens, dims_ / (16 * width));
          Value row = e.add(column, e.mul(t, e.index(layout_.elementBytes() * dims_)));
          SmallVector<Value> v, next;
          for (int64_t i = 0; i < width; ++i)
            v.push_back(widen(e, op_.getKv(), e.add(row, e.index(16 * layout_.elementBytes() * i)),
                              layout_.q8 ? valueScale(e, values, t, feature, i) : Value()));
          for (int64_t m = 0; m < rows; ++m) {
            Value p = e.splat(e.loadScalar(weights_, e.add(e.index((first + m) * kPageTokens), t)));
            for (int64_t i = 0; i < width; ++i)
              next.push_back(e.fma(p, v[i], acc[m * width + i]));
          }
          return next;
        });
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t i = 0; i < width; ++i)
        e.store(sums[m * width + i], out, {e.add(e.add(at[first + m], feature), e.index(16 * i))});
  }

  Op op_;
  int64_t dims_, queries_;
  PageLayout layout_;
  Value query_, weights_;            // f32 [queries · head_dim], [queries · 64]
  Value maxima_;                     // f32 [16], where lanes become splats
  SmallVector<Value> lowest_, last_; // first and last visible position of each query
  Value first_, end_;                // chunks_ as two vectors of 16 i32, lane i is query i, where queries see different keys
  SmallVector<std::pair<Value, Value>> chunks_;
};

/// How the states of a chunk enter running ones: O' = O·a + o·b. Lane i of `factors` is a of query i, lane 8 + i its b.
struct Merge {
  SoftmaxState next;
  Value factors;
};
Merge mergeStates(Emit &e, SoftmaxState running, SoftmaxState chunk) {
  EmitOps lanes{e, e.lanesType()};
  Value biggest = lanes.selectLess(running.m, chunk.m, chunk.m, running.m);
  Value factors = heddle::math::expUnsaturated(lanes, joinLow(e, e.subf(running.m, biggest), e.subf(chunk.m, biggest)));
  return {{biggest, e.fma(running.l, factors, e.mulf(chunk.l, upperHalf(e, factors)))}, factors};
}

/// How the heads' sinks enter at last: as the state of a chunk of one key without a value.
Merge mergeSinks(Emit &e, SoftmaxState running, Value sinks, ValueRange heads) {
  Value m = e.lanes(0);
  for (auto [i, head] : llvm::enumerate(heads))
    m = e.b.create<vector::InsertOp>(e.loc, e.loadScalar(sinks, head), m, static_cast<int64_t>(i));
  return mergeStates(e, running, {m, e.lanes(1)});
}

/// Features of a head's result, O / L by 16 from the `first`-th 16 on, stored, requantised where that is q8.
void finishHead(Emit &e, ArrayRef<Value> o, Value sum, Value out, Value token, Value head, int64_t dims, Value first) {
  sum = e.splat(sum);
  SmallVector<Value> results;
  for (Value v : o)
    results.push_back(e.divf(v, sum));
  Value at = e.add(e.mul(head, e.index(dims / 16)), first);
  if (isQ8(out.getType())) {
    Value pair = e.div(at, e.index(2)), bytes = e.bytes(out);
    for (size_t i = 0; i < results.size(); i += 2)
      emitQuantizeBlock(e, results[i], results[i + 1], bytes, token, e.add(pair, e.index(static_cast<int64_t>(i / 2))));
    return;
  }
  Value column = e.mul(at, e.index(16));
  for (auto [i, v] : llvm::enumerate(results))
    e.store(v, out, {token, e.add(column, e.index(16 * static_cast<int64_t>(i)))});
}
} // namespace

void heddle::emitAttention(Emit &e, TileAttentionOp op) {
  AttentionTile<TileAttentionOp> tile(e, op);
  int64_t dims = tile.dims(), queries = tile.queries();
  Value part = tile.stack(e, queries * dims), total = tile.stack(e, queries * dims); // o of a chunk, and O
  Value factors = tile.stack(e, 16);
  SmallVector<Value> at;
  for (int64_t m = 0; m < queries; ++m)
    at.push_back(e.index(m * dims));
  SmallVector<Value> state = e.forCarrying(
      tile.firstChunk(), tile.endChunk(), 1, {e.lanes(-INFINITY), e.lanes(0)}, [&](Emit &e, Value chunk, ValueRange carried) {
        SoftmaxState running{carried[0], carried[1]}, here = tile.attend(e, chunk, part, at);
        Merge merge = mergeStates(e, running, here);
        e.store(merge.factors, factors, {e.index(0)});
        SmallVector<Value> a, b, first, seen;
        for (int64_t i = 0; i < queries; ++i) {
          a.push_back(e.splat(e.loadScalar(factors, e.index(i)))), b.push_back(e.splat(e.loadScalar(factors, e.index(8 + i))));
          first.push_back(tile.isFirst(e, i, chunk)), seen.push_back(tile.sees(e, i, chunk));
        }
        e.forLoop(e.index(0), e.index(dims), 16, [&](Emit &e, Value j) {
          for (int64_t i = 0; i < queries; ++i) {
            Value here = e.add(at[i], j), o = e.load(part, {here}), before = e.load(total, {here});
            Value merged = e.select(first[i], o, e.fma(before, a[i], e.mulf(o, b[i])));
            e.store(tile.sameKeys() ? merged : e.select(seen[i], merged, before), total, {here});
          }
        });
        // A query's first chunk is copied; one that it does not see leaves it as it was.
        auto next = [&](Value before, Value after, Value copy) {
          if (tile.sameKeys())
            return e.select(tile.isFirst(e, 0, chunk), copy, after);
          return e.select(tile.eachSees(e, chunk), e.select(tile.eachIsFirst(e, chunk), copy, after), before);
        };
        return SmallVector<Value>{next(running.m, merge.next.m, here.m), next(running.l, merge.next.l, here.l)};
      });
  Value sum = state[1];
  if (op.getSinks()) {
    Merge merge = mergeSinks(e, {state[0], state[1]}, op.getSinks(), op.getHeads());
    e.store(merge.factors, factors, {e.index(0)});
    sum = merge.next.l;
  }
  for (int64_t m = 0; m < queries; ++m) {
    SmallVector<Value> o;
    Value factor = op.getSinks() ? e.splat(e.loadScalar(factors, e.index(m))) : Value();
    for (int64_t j = 0; j < dims; j += 16) {
      o.push_back(e.load(total, {e.index(m * dims + j)}));
      if (factor)
        o.back() = e.fma(o.back(), factor, e.lanes(0));
    }
    finishHead(e, o, e.extract(sum, m), op.getOut(), op.getTokens()[m], op.getHeads()[m], dims, e.index(0));
  }
}

void heddle::emitAttendChunks(Emit &e, TileAttendChunksOp op) {
  AttentionTile<TileAttendChunksOp> tile(e, op);
  e.forLoop(op.getFrom(), op.getTo(), 1, [&](Emit &e, Value chunk) {
    SmallVector<Value> at;
    for (int64_t m = 0; m < tile.queries(); ++m)
      at.push_back(
          e.add(e.add(op.getState(), e.mul(op.getHeadStride(), e.index(m))), e.mul(chunk, e.index(partialFloats(tile.dims())))));
    Value next = e.minimum(e.add(chunk, e.index(1)), e.sub(op.getTo(), e.index(1)));
    SoftmaxState state = tile.attend(e, chunk, op.getPartials(), at, next);
    e.store(joinLow(e, state.m, state.l), op.getPartials(), {e.add(at[0], e.index(tile.dims()))});
  });
}

void heddle::emitMergeChunks(Emit &e, TileMergeChunksOp op) {
  int64_t dims = op.getHeadDim(), queries = static_cast<int64_t>(op.getHeads().size()), width = op.getVectors();
  Value block = e.mul(op.getBlock(), e.index(width)); // in vectors
  Value factors = e.stackBuffer(op, MemRefType::get({16}, e.b.getF32Type()));
  auto at = [&](Emit &e, Value chunk) { return e.add(op.getState(), e.mul(chunk, e.index(partialFloats(dims)))); };
  auto states = [&](Emit &e, Value chunk) {
    Value both = e.load(op.getPartials(), {e.add(at(e, chunk), e.index(dims))});
    return SoftmaxState{both, upperHalf(e, both)};
  };
  auto outputs = [&](Emit &e, Value chunk) {
    SmallVector<Value> o;
    for (int64_t m = 0; m < queries; ++m)
      for (int64_t i = 0; i < width; ++i)
        o.push_back(e.load(op.getPartials(), {e.add(e.add(at(e, chunk), e.mul(op.getHeadStride(), e.index(m))),
                                                    e.add(e.mul(block, e.index(16)), e.index(16 * i)))}));
    return o;
  };
  SoftmaxState start = states(e, op.getFrom());
  SmallVector<Value> carried{start.m, start.l};
  carried.append(outputs(e, op.getFrom()));
  SmallVector<Value> end =
      e.forCarrying(e.add(op.getFrom(), e.index(1)), op.getTo(), 1, carried, [&](Emit &e, Value chunk, ValueRange running) {
        Merge merge = mergeStates(e, {running[0], running[1]}, states(e, chunk));
        e.store(merge.factors, factors, {e.index(0)});
        SmallVector<Value> o = outputs(e, chunk), next{merge.next.m, merge.next.l};
        for (int64_t m = 0; m < queries; ++m) {
          Value a = e.splat(e.loadScalar(factors, e.index(m))), b = e.splat(e.loadScalar(factors, e.index(8 + m)));
          for (int64_t i = m * width; i < (m + 1) * width; ++i)
            next.push_back(e.fma(running[2 + i], a, e.mulf(o[i], b)));
        }
        return next;
      });
  if (op.getSinks()) {
    Merge merge = mergeSinks(e, {end[0], end[1]}, op.getSinks(), op.getHeads());
    e.store(merge.factors, factors, {e.index(0)});
    end[1] = merge.next.l;
    for (int64_t m = 0; m < queries; ++m)
      for (int64_t i = m * width; i < (m + 1) * width; ++i)
        end[2 + i] = e.fma(end[2 + i], e.splat(e.loadScalar(factors, e.index(m))), e.lanes(0));
  }
  for (int64_t m = 0; m < queries; ++m)
    finishHead(e, ArrayRef(end).slice(2 + m * width, width), e.extract(end[1], m), op.getOut(), op.getToken(), op.getHeads()[m],
               dims, block);
}
