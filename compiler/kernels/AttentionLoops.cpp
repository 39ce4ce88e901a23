//===- AttentionLoops.cpp - how the threads share attention ----------------------------------------------------------===//
#include "compiler/kernels/AttentionLoops.h"
#include "compiler/kernels/Items.h"
#include "compiler/kernels/KernelLoops.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// Queries of a prompt in a tile: with 4 vectors of keys they take 29 of 32 registers, with one 15 of 16.
constexpr int64_t kPromptQueries = 6;

AttentionLoops::AttentionLoops(AttentionOp op, StateOp state, int64_t ropeDims, bool wide)
    : op_(op), state_(state), ropeDims_(ropeDims), wide_(wide) {
  int64_t group = op.getHeads() / op.getKvHeads();
  tokenQueries_ = std::min<int64_t>(group, 4); // of a larger prime, what is left goes by itself
  for (int64_t divisor = 2; divisor <= 8; ++divisor)
    if (group % divisor == 0)
      tokenQueries_ = divisor;
}

/// How a tile's sums stand in the registers: queries at once, and of each as many vectors of 16 keys or features as fit beside
/// those of the cache and one more.
AttentionLoops::Registers AttentionLoops::registersFor(int64_t queries) const {
  int64_t most = wide_ ? 8 : 6, parts = llvm::divideCeil(queries, most), registers = wide_ ? 31 : 7; // of 16 f32
  Registers fit{static_cast<int64_t>(llvm::divideCeil(queries, parts)), 4};
  while ((fit.rows + 1) * fit.vectors > registers && fit.vectors > 1)
    fit.vectors /= 2;
  return fit;
}

/// Vectors of 16 features of each head that a merge holds: pairs, as results may be q8, and 16 sums for 32 registers. Where
/// registers are half as many some spill, which a merge, waiting for memory, does not show.
int64_t AttentionLoops::mergeVectors() {
  int64_t vectors = tokenQueries_ > 4 ? 2 : 4;
  while (op_.getHeadDim() % (16 * vectors))
    vectors /= 2;
  return vectors;
}

/// This rank's query heads of a KV head.
std::pair<Value, Value> AttentionLoops::headsOf(Emit &e, Value kvHead) {
  Value group = e.index(op_.getHeads() / op_.getKvHeads()), first = e.mul(kvHead, group);
  return {e.maximum(op_.getShares()[0], first), e.minimum(op_.getShares()[1], e.add(first, group))};
}
/// Where the pages of a KV head lie: byte base + page · stride.
std::pair<Value, Value> AttentionLoops::geometry(Emit &e, Value kvHead) {
  Value begin = op_.getShares()[2];
  return pageGeometry(e, state_, op_.getLayer(), e.sub(kvHead, begin), e.sub(op_.getShares()[3], begin));
}
Value AttentionLoops::firstPage(Emit &e, PagesOp pages, Value token) { return e.mul(e.sequenceOf(token), pages.getWidth()); }
/// Chunks of keys that a token sees: [first, end).
std::pair<Value, Value> AttentionLoops::chunksOf(Emit &e, Value token) {
  Value lowest = e.index(0), tokens = e.index(kPageTokens), length = lengthOf(e, token);
  Value last = length ? e.sub(length, e.index(1)) : e.positionOf(token);
  if (op_.getWindow())
    lowest = e.maximum(e.sub(last, e.index(op_.getWindow() - 1)), lowest);
  return {e.div(lowest, tokens), e.add(e.div(last, tokens), e.index(1))};
}
/// How many keys a token sees, from its sequence's first one on, where no mask says so; null where one does.
Value AttentionLoops::lengthOf(Emit &e, Value token) {
  return op_.getMask() == Mask::None ? e.lengthOf(op_.getStateAttr(), token) : Value();
}
SmallVector<Value> AttentionLoops::positionsOf(Emit &e, ArrayRef<Value> tokens) {
  return llvm::map_to_vector(tokens, [&](Value token) { return e.positionOf(token); });
}

void AttentionLoops::attend(Emit &e, ArrayRef<Value> tokens, ArrayRef<Value> heads, Value kvHead) {
  auto [base, stride] = geometry(e, kvHead);
  Registers fit = registersFor(static_cast<int64_t>(tokens.size()));
  PagesOp pages = e.pages(op_.getStateAttr());
  e.b.create<TileAttentionOp>(e.loc, op_.getQuery(), tokens, heads, positionsOf(e, tokens), pages.getTable(),
                              firstPage(e, pages, tokens[0]), pages.getMemory(), stride, base, op_.getOut(), op_.getSinks(),
                              op_.getQNorm(), e.angles(op_.getRopeAttr()), lengthOf(e, tokens[0]), op_.getHeadDimAttr(),
                              e.b.getI64IntegerAttr(ropeDims_), op_.getScaleAttr(), op_.getWindowAttr(), op_.getSoftCapAttr(),
                              op_.getNormEpsAttr(), op_.getStyleAttr(), e.b.getI64IntegerAttr(fit.rows),
                              e.b.getI64IntegerAttr(fit.vectors), state_.getTypeAttr());
}

void AttentionLoops::tilesOfToken(Emit &e, Value from, Value to, llvm::function_ref<void(Emit &, ArrayRef<Value>)> tile) {
  if (tokenQueries_ > 1) {
    Value whole = e.add(from, e.mul(e.div(e.sub(to, from), e.index(tokenQueries_)), e.index(tokenQueries_)));
    e.forLoop(from, whole, tokenQueries_, [&](Emit &e, Value head) {
      SmallVector<Value> heads{head};
      for (int64_t m = 1; m < tokenQueries_; ++m)
        heads.push_back(e.add(head, e.index(m)));
      tile(e, heads);
    });
    from = whole;
  }
  e.forLoop(from, to, 1, [&](Emit &e, Value head) { tile(e, {head}); });
}

void AttentionLoops::overQueries(Emit e) {
  Value tokens = e.dim(op_.getQuery()), thread = e.environment(Place::Thread), threads = e.environment(Place::Threads);
  auto sequence = [&](Emit &e, Value token) { return e.sequenceOf(token); };
  auto equal = [](Emit &e, Value x, Value y) {
    return e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, x, y).getResult();
  };
  // Sequences are numbered in the order of their tokens. With one for each token, no two tokens can share a tile.
  Value last = e.sub(tokens, e.index(1)), decoding = equal(e, e.sub(sequence(e, last), sequence(e, e.index(0))), last);
  // `done`: blocks of the KV heads before, as threads take turns through all of them.
  e.forCarrying(op_.getShares()[2], op_.getShares()[3], 1, {e.index(0)}, [&](Emit &e, Value kvHead, ValueRange done) {
    auto [head, end] = headsOf(e, kvHead);
    Value heads = e.sub(end, head), pairs = e.mul(tokens, heads);
    Value size =
        e.select(decoding, e.maximum(heads, e.index(1)), e.index(kPromptQueries)); // a token a block, or pairs of several
    Value blocks = e.div(e.add(pairs, e.sub(size, e.index(1))), size);
    Value begin = e.rem(e.sub(e.add(thread, threads), e.rem(done[0], threads)), threads);
    e.forLoop(begin, blocks, threads, [&, head = head](Emit &e, Value block) {
      Value from = e.mul(block, size), to = e.minimum(e.add(from, size), pairs);
      auto token = [&](Emit &e, Value pair) { return e.div(pair, heads); };
      Value first = token(e, from), last = token(e, e.sub(to, e.index(1)));
      Value whole = e.b.create<arith::AndIOp>(e.loc, equal(e, e.sub(to, from), e.index(kPromptQueries)),
                                              equal(e, sequence(e, first), sequence(e, last)));
      auto branch = e.b.create<scf::IfOp>(e.loc, whole, /*withElseRegion=*/true);
      OpBuilder then = branch.getThenBodyBuilder(), otherwise = branch.getElseBodyBuilder();
      Emit together{then, e.loc}, byToken{otherwise, e.loc};
      SmallVector<Value> rows, columns;
      for (int64_t m = 0; m < kPromptQueries; ++m) {
        Value pair = m ? together.add(from, together.index(m)) : from;
        rows.push_back(token(together, pair)), columns.push_back(together.add(head, together.rem(pair, heads)));
      }
      attend(together, rows, columns, kvHead);
      byToken.forLoop(first, byToken.add(last, byToken.index(1)), 1, [&](Emit &e, Value t) {
        Value before = e.mul(t, heads); // pairs of the tokens before
        tilesOfToken(
            e, e.add(head, e.sub(e.maximum(from, before), before)), e.add(head, e.minimum(e.sub(to, before), heads)),
            [&](Emit &e, ArrayRef<Value> columns) { attend(e, SmallVector<Value>(columns.size(), t), columns, kvHead); });
      });
    });
    return SmallVector<Value>{e.add(done[0], blocks)};
  });
}

void AttentionLoops::overChunks(Emit e) {
  Value tokens = e.dim(op_.getQuery()), kvBegin = op_.getShares()[2], kvHeads = e.sub(op_.getShares()[3], kvBegin);
  Value heads = e.sub(op_.getShares()[1], op_.getShares()[0]), floats = e.index(partialFloats(op_.getHeadDim()));
  PagesOp pages = e.pages(op_.getStateAttr());
  Value headStride = e.mul(pages.getWidth(), floats), partials = e.partials();
  auto stateOf = [&](Emit &e, Value token, Value head) { // of the token's and head's chunk 0
    return e.mul(e.add(e.mul(token, heads), e.sub(head, op_.getShares()[0])), headStride);
  };
  Value total = e.forCarrying(e.index(0), tokens, 1, {e.index(0)}, [&](Emit &e, Value t, ValueRange sum) {
    auto [from, to] = chunksOf(e, t);
    return SmallVector<Value>{e.add(sum[0], e.mul(e.sub(to, from), kvHeads))};
  })[0];
  auto [first, last] = threadRange(e, total);
  e.forCarrying(e.index(0), tokens, 1, {e.index(0)}, [&, first = first, last = last](Emit &e, Value t, ValueRange before) {
    auto [lowest, highest] = chunksOf(e, t);
    Value chunks = e.sub(highest, lowest);
    e.forLoop(kvBegin, op_.getShares()[3], 1, [&, lowest = lowest](Emit &e, Value kvHead) {
      Value start = e.add(before[0], e.mul(e.sub(kvHead, kvBegin), chunks));
      auto clamp = [&](Value x) { return e.add(lowest, e.minimum(e.maximum(e.sub(x, start), e.index(0)), chunks)); };
      Value from = clamp(first), to = clamp(last);
      auto [head, end] = headsOf(e, kvHead);
      // Nothing to do for this thread: no heads either, so that no query is loaded in vain.
      end = e.select(e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::ult, from, to), end, head);
      tilesOfToken(e, head, end, [&](Emit &e, ArrayRef<Value> heads) {
        SmallVector<Value> rows(heads.size(), t);
        auto [base, stride] = geometry(e, kvHead);
        Registers fit = registersFor(static_cast<int64_t>(heads.size()));
        e.b.create<TileAttendChunksOp>(e.loc, op_.getQuery(), rows, heads, positionsOf(e, rows), pages.getTable(),
                                       firstPage(e, pages, t), pages.getMemory(), stride, base, from, to, partials,
                                       stateOf(e, t, heads[0]), headStride, op_.getQNorm(), e.angles(op_.getRopeAttr()),
                                       lengthOf(e, t), op_.getHeadDimAttr(), e.b.getI64IntegerAttr(ropeDims_), op_.getScaleAttr(),
                                       op_.getWindowAttr(), op_.getSoftCapAttr(), op_.getNormEpsAttr(), op_.getStyleAttr(),
                                       e.b.getI64IntegerAttr(fit.rows), e.b.getI64IntegerAttr(fit.vectors), state_.getTypeAttr());
      });
    });
    return SmallVector<Value>{e.add(before[0], e.mul(chunks, kvHeads))};
  });
  e.b.create<BarrierOp>(e.loc, KernelAttr()); // the merge is part of the kernel
  // Items are 16 · `vectors` features of a token's heads of a KV head, so that threads share them where one KV head is all there
  // is.
  int64_t vectors = mergeVectors(), blocks = op_.getHeadDim() / (16 * vectors);
  forItems(e, e.mul(tokens, e.mul(kvHeads, e.index(blocks))), [&](Emit &e, Value item) {
    Value block = e.rem(item, e.index(blocks)), pair = e.div(item, e.index(blocks));
    Value t = e.div(pair, kvHeads), kvHead = e.add(kvBegin, e.rem(pair, kvHeads));
    auto [from, to] = chunksOf(e, t);
    auto [head, end] = headsOf(e, kvHead);
    tilesOfToken(e, head, end, [&, from = from, to = to](Emit &e, ArrayRef<Value> heads) {
      e.b.create<TileMergeChunksOp>(e.loc, partials, stateOf(e, t, heads[0]), headStride, from, to, op_.getOut(), t, heads, block,
                                    op_.getSinks(), op_.getHeadDim(), vectors);
    });
  });
}

/// The dimensions that a table rotates; 0 without one.
static int64_t rotatedDims(Operation *op, std::optional<StringRef> table) {
  return table ? static_cast<int64_t>(op->getParentOfType<ModuleOp>().lookupSymbol<RopeTableOp>(*table).getDims()) : 0;
}

static LogicalResult checkHead(Operation *op, int64_t headDim, int64_t ropeDims) {
  if (headDim > 4096)
    return op->emitOpError("cannot be lowered yet for a head size of ") << headDim << ": at most 4096";
  if (headDim % 16)
    return op->emitOpError("cannot be lowered yet for a head size of ") << headDim << ": it must be a multiple of 16";
  if (ropeDims % 16)
    return op->emitOpError("cannot be lowered yet for ") << ropeDims << " rotated dimensions: a multiple of 16";
  return success();
}

LogicalResult heddle::emitAttention(AttentionOp op, Emit &e, const LoopShape &shape) {
  if (op.getBias() || op.getProbeHeads())
    return op.emitOpError("cannot be lowered yet with ") << (op.getBias() ? "a bias" : "probe_heads");
  if (op.getSource() == KeySource::Batch)
    return op.emitOpError("cannot be lowered with keys of its own: heddle-fuse-heads stores them in a state");
  if (op.getShares().empty())
    return op.emitOpError("has no shares: stage sharded gives them");
  int64_t ropeDims = rotatedDims(op, op.getRope());
  if (failed(checkHead(op, op.getHeadDim(), ropeDims)))
    return failure();
  auto state = op->getParentOfType<ModuleOp>().lookupSymbol<StateOp>(*op.getState());
  AttentionLoops loops(op, state, ropeDims, hasWideRegisters(shape.registers));
  Value few = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::ule, e.dim(op.getQuery()), e.index(kSplitTokens));
  auto branch = e.b.create<scf::IfOp>(e.loc, few, /*withElseRegion=*/true);
  OpBuilder byChunks = branch.getThenBodyBuilder(), byQueries = branch.getElseBodyBuilder();
  loops.overChunks(Emit{byChunks, e.loc});
  loops.overQueries(Emit{byQueries, e.loc});
  return success();
}

LogicalResult heddle::emitStoreKv(StoreKvOp op, Emit &e, const LoopShape &) {
  if (op.getShares().empty())
    return op.emitOpError("has no shares: stage sharded gives them");
  int64_t ropeDims = rotatedDims(op, op.getRope());
  if (failed(checkHead(op, op.getHeadDim(), ropeDims)))
    return failure();
  auto state = op->getParentOfType<ModuleOp>().lookupSymbol<StateOp>(op.getState());
  Value begin = op.getShares()[0], count = e.sub(op.getShares()[1], begin), tokens = e.dim(op.getKeys());
  forItems(e, e.mul(tokens, count), [&](Emit &e, Value item) {
    Value t = e.rem(item, tokens), local = e.div(item, tokens), position = e.positionOf(t);
    PagesOp pages = e.pages(op.getStateAttr(), ir::Access::Write);
    Value row = e.mul(e.sequenceOf(t), pages.getWidth());
    Value page = e.loadIndex(pages.getTable(), e.add(row, e.div(position, e.index(kPageTokens))));
    auto [base, stride] = pageGeometry(e, state, op.getLayer(), local, count);
    e.b.create<TileStoreKvOp>(e.loc, op.getKeys(), op.getValues(), t, e.add(begin, local), position, pages.getMemory(),
                              e.add(e.mul(page, stride), base), op.getKNorm(), e.angles(op.getRopeAttr()), op.getHeadDim(),
                              ropeDims, op.getNormEpsAttr(), op.getStyleAttr(), state.getType());
  });
  return success();
}
