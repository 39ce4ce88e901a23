//===- TileKernels.cpp - from ops on buffers to loops over register tiles -------------------------------------------===//
//
//   func.func private @rms_norm(…) {
//     heddle.rms_norm %x, %weight eps 1.0e-5 outs(%y) …
// →
//   func.func private @rms_norm(…) {
//     scf.for %t = %first to %last {                      // this thread's tokens
//       heddle.tile_rms_norm %x, %weight -> %y[%t] eps 1.0e-5 …
//     }
//
// Products are in ProductLoops.cpp, attention is in AttentionLoops.cpp.
// Every op becomes loops over independent items (row groups, tokens, heads), cut evenly over threads, so that neither threads nor
// ranks nor tile heights appear in any result. OutlineKernels has put each op into a function of its own, and barriers between
// calls.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "compiler/kernels/AttentionLoops.h"
#include "compiler/kernels/Items.h"
#include "compiler/kernels/ProductLoops.h"
#include "compiler/planning/Environment.h"
#include "runtime/plan/StepAbi.h"
#include "runtime/plan/Targets.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct TileKernels : heddle::ModulePass<TileKernels> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TileKernels)
  static constexpr llvm::StringLiteral flag = "heddle-tile-kernels";
  static constexpr llvm::StringLiteral summary = "turn ops on buffers into SPMD loops over register tiles";

  TileKernels() = default;
  explicit TileKernels(LoopShape shape) {
    target = targetName(shape.registers).str();
    cacheBytes = shape.cacheBytes;
    prefetchBytes = shape.prefetchBytes;
  }
  TileKernels(const TileKernels &other) : ModulePass(other) {
    target = other.target.getValue();
    cacheBytes = other.cacheBytes.getValue();
    prefetchBytes = other.prefetchBytes.getValue();
  }
  Option<std::string> target{*this, "target", llvm::cl::desc("the CPU: " + targetChoices()), llvm::cl::init("x86-64-v3")};
  Option<int64_t> cacheBytes{*this, "cache-bytes", llvm::cl::desc("a core's own cache (L2)"),
                             llvm::cl::init(LoopShape().cacheBytes)};
  Option<int64_t> prefetchBytes{*this, "prefetch-bytes", llvm::cl::desc("how far ahead products of few tokens ask for weights"),
                                llvm::cl::init(LoopShape().prefetchBytes)};

  void runOnOperation() override {
    std::optional<Target> known = targetByName(target);
    if (cacheBytes <= 0) {
      getOperation().emitError("cache-bytes must be positive, not ") << cacheBytes.getValue();
      return signalPassFailure();
    }
    if (prefetchBytes < 0 || prefetchBytes > kMostAheadBytes) {
      getOperation().emitError("prefetch-bytes must be in 0 to ") << kMostAheadBytes << ", not " << prefetchBytes.getValue();
      return signalPassFailure();
    }
    if (!known) {
      getOperation().emitError("unknown target '") << target.getValue() << "': choose " << targetChoices();
      return signalPassFailure();
    }
    shape_ = {*known, cacheBytes, prefetchBytes};
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isKernel(op) || isa<ShareOp, AllGatherOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (failed(check(op)) || failed(tile(op)))
        return signalPassFailure();
  }

  /// What the tiling relies on and verifiers do not know: an edited stage is told, in the op's own words.
  LogicalResult check(Operation *op) {
    if (isa<ShareOp>(op))
      return success();
    auto function = dyn_cast<func::FuncOp>(op->getParentOp());
    if (!isKernel(op) || !function || op != &op->getBlock()->front() || op->getNextNode() != op->getBlock()->getTerminator())
      return op->emitOpError("has no function of its own: run heddle-outline-kernels first");
    if (failed(requireBuffers(op)))
      return failure();
    auto shared = [&](auto op, size_t shares) -> LogicalResult {
      return op.getShares().size() == shares ? success() : op.emitOpError("has no shares: stage sharded gives them");
    };
    if (auto store = dyn_cast<StoreKvOp>(op); store && failed(shared(store, 2)))
      return failure();
    if (auto attention = dyn_cast<AttentionOp>(op);
        attention && attention.getSource() == KeySource::Paged && failed(shared(attention, 4)))
      return failure();
    if (auto norm = dyn_cast<RmsNormOp>(op)) {
      if (norm.getGroups() != 1)
        return op->emitOpError("cannot be lowered yet over groups, except where attention or store_kv takes it along");
      int64_t features = cast<MemRefType>(norm.getWeight().getType()).getDimSize(0);
      if (features % 16)
        return op->emitOpError("cannot be lowered yet for ") << features << " features: a multiple of 16";
    }
    if (auto select = dyn_cast<SelectRowsOp>(op); select && cast<MemRefType>(select.getInput().getType()).getRank() != 2)
      return op->emitOpError("cannot be lowered yet for q8 rows");
    auto packed = [&](Value weight, StringRef name, int64_t columns, bool padded) -> LogicalResult {
      const FormatTraits &format = traits(*formatByName(std::string_view(name.data(), name.size())));
      int64_t bytes = cast<MemRefType>(weight.getType()).getDimSize(1),
              stored = bytes / format.packedBytes * format.blockElements;
      if (bytes % format.packedBytes == 0 &&
          (stored == columns || (padded && static_cast<int64_t>(llvm::alignTo(stored, 16)) == columns)))
        return success();
      return op->emitOpError("has rows of ")
             << columns << " features; a row group of " << bytes << " bytes in " << name << " holds " << stored;
    };
    if (auto embed = dyn_cast<EmbedOp>(op))
      if (failed(packed(embed.getTable(), *embed.getFormat(), cast<MemRefType>(embed.getOut().getType()).getDimSize(1), true)))
        return failure();
    if (auto linear = dyn_cast<LinearOp>(op)) {
      auto input = cast<MemRefType>(linear.getInput().getType());
      for (auto [weight, format] : llvm::zip(linear.getWeights(), linear.getFormats()->getAsValueRange<StringAttr>()))
        if (failed(packed(weight, format, input.getDimSize(1) * (input.getRank() == 3 ? 32 : 1), input.getRank() == 2)))
          return failure();
    }
    return requireArguments(function, kernelEnvironment(op));
  }

  LogicalResult tile(Operation *op);
  LogicalResult storeKv(StoreKvOp op, Emit e);
  LogicalResult attention(AttentionOp op, Emit e);

  LoopShape shape_;
};

LogicalResult TileKernels::tile(Operation *op) {
  OpBuilder builder(op);
  Emit e{builder, op->getLoc()};
  if (auto share = dyn_cast<ShareOp>(op)) { // runtime/plan/Share.h, in index arithmetic
    Value units = e.index(share.getUnits());
    Value begin = e.div(e.mul(units, share.getRank()), share.getRanks());
    Value end = e.div(e.mul(units, e.add(share.getRank(), e.index(1))), share.getRanks());
    if (share.getKv()) {
      Value group = e.index(share.getGroup());
      Value first = e.div(begin, group), last = e.div(e.add(end, e.index(share.getGroup() - 1)), group);
      Value empty = builder.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, begin, end);
      begin = first, end = builder.create<arith::SelectOp>(e.loc, empty, first, last);
    }
    share.getBegin().replaceAllUsesWith(begin);
    share.getEnd().replaceAllUsesWith(end);
    op->erase();
    return success();
  }
  if (auto linearOp = dyn_cast<LinearOp>(op))
    ProductLoops(linearOp, shape_).emit(e);
  else if (auto norm = dyn_cast<RmsNormOp>(op))
    forItems(e, op, e.dim(norm.getOut()), [&](Emit &e, Value t) {
      e.b.create<TileRmsNormOp>(e.loc, norm.getInput(), norm.getWeight(), norm.getResidual(), norm.getOut(), t,
                                norm.getEpsAttr());
    });
  else if (auto embed = dyn_cast<EmbedOp>(op))
    forItems(e, op, e.dim(embed.getOut()), [&](Emit &e, Value t) {
      e.b.create<TileEmbedOp>(e.loc, embed.getIds(), embed.getTable(), embed.getOut(), t, embed.getFormatAttr(),
                              embed.getScaleAttr());
    });
  else if (auto select = dyn_cast<SelectRowsOp>(op))
    forItems(e, op, e.dim(select.getOut()), [&](Emit &e, Value r) {
      Value from = e.loadIndex(select.getRows(), r);
      e.b.create<TileCopyRowOp>(e.loc, select.getInput(), from, select.getOut(), r);
    });
  else if (auto quantize = dyn_cast<QuantizeOp>(op))
    forItems(e, op, e.dim(quantize.getOut()),
             [&](Emit &e, Value t) { e.b.create<TileQuantizeRowOp>(e.loc, quantize.getInput(), quantize.getOut(), t); });
  else if (auto store = dyn_cast<StoreKvOp>(op)) {
    if (failed(storeKv(store, e)))
      return failure();
  } else if (failed(attention(cast<AttentionOp>(op), e)))
    return failure();
  op->erase();
  return success();
}

/// A RoPE table's first element, its rotated dimensions; nothing without a table.
static std::pair<Value, int64_t> ropeTable(Emit &e, Operation *op, std::optional<StringRef> name) {
  if (!name)
    return {Value(), 0};
  auto module = op->getParentOfType<ModuleOp>();
  Value number = e.index(symbolIndex<RopeTableOp>(module, *name));
  return {e.loadIndex(argument(op, "rope_offsets"), number), module.lookupSymbol<RopeTableOp>(*name).getDims()};
}

static LogicalResult checkHead(Operation *op, int64_t headDim, int64_t ropeDims, std::optional<RopeStyle> style) {
  if (headDim > 4096)
    return op->emitOpError("cannot be lowered yet for a head size of ") << headDim << ": at most 4096";
  if (headDim % 16)
    return op->emitOpError("cannot be lowered yet for a head size of ") << headDim << ": it must be a multiple of 16";
  if (!style)
    return success();
  if (ropeDims % 16)
    return op->emitOpError("cannot be lowered yet for ") << ropeDims << " rotated dimensions: a multiple of 16";
  return success();
}

LogicalResult TileKernels::storeKv(StoreKvOp op, Emit e) {
  auto state = op->getParentOfType<ModuleOp>().lookupSymbol<PagedStateOp>(op.getState());
  auto [ropeOffset, ropeDims] = ropeTable(e, op, op.getRope());
  if (failed(checkHead(op, op.getHeadDim(), ropeDims, op.getStyle())))
    return failure();
  Value begin = op.getShares()[0], count = e.sub(op.getShares()[1], begin), tokens = e.dim(op.getKeys());
  forItems(e, op, e.mul(tokens, count), [&, ropeOffset = ropeOffset, ropeDims = ropeDims](Emit &e, Value item) {
    Value t = e.rem(item, tokens), local = e.div(item, tokens);
    Value position = e.loadIndex(op.getPositions(), t);
    Value row = e.mul(e.loadIndex(op.getSequences(), t), argument(op, "page_width"));
    Value page = e.loadIndex(op.getPageTable(), e.add(row, e.div(position, e.index(kPageTokens))));
    auto [base, stride] = pageGeometry(e, state, op.getLayer(), local, count);
    Value rope = ropeOffset ? argument(op, "rope") : Value();
    e.b.create<TileStoreKvOp>(e.loc, op.getKeys(), op.getValues(), t, e.add(begin, local), position, argument(op, "kv"),
                              e.add(e.mul(page, stride), base), op.getKNorm(), rope, ropeOffset, op.getHeadDim(), ropeDims,
                              op.getNormEpsAttr(), op.getStyleAttr(), state.getType());
  });
  return success();
}

LogicalResult TileKernels::attention(AttentionOp op, Emit e) {
  if (op.getSource() != KeySource::Paged)
    return op.emitOpError("cannot be lowered yet from source ") << stringifyKeySource(op.getSource());
  if (op.getBias() || op.getProbeHeads() || op.getMask() == Mask::None)
    return op.emitOpError("cannot be lowered yet with ") << (op.getBias()         ? "a bias"
                                                             : op.getProbeHeads() ? "probe_heads"
                                                                                  : "mask none");
  auto state = op->getParentOfType<ModuleOp>().lookupSymbol<PagedStateOp>(*op.getState());
  auto [ropeOffset, ropeDims] = ropeTable(e, op, op.getRope());
  if (failed(checkHead(op, op.getHeadDim(), ropeDims, op.getStyle())))
    return failure();
  AttentionLoops loops(op, state, ropeOffset, ropeDims, hasWideRegisters(shape_.registers));
  Value few = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::ule, e.dim(op.getQuery()), e.index(kSplitTokens));
  auto branch = e.b.create<scf::IfOp>(e.loc, few, /*withElseRegion=*/true);
  OpBuilder byChunks = branch.getThenBodyBuilder(), byQueries = branch.getElseBodyBuilder();
  loops.overChunks(Emit{byChunks, e.loc});
  loops.overQueries(Emit{byQueries, e.loc});
  return success();
}
} // namespace

std::unique_ptr<Pass> heddle::createTileKernelsPass(LoopShape shape) { return std::make_unique<TileKernels>(shape); }
