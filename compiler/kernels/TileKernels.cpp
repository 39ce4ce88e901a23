//===- TileKernels.cpp - from ops on buffers to loops over register tiles -------------------------------------------===//
//
//   heddle.linear %x weights(%w) residual(%r) shares(%b, %e) outs(%y) …
// →
//   scf.for %g = %first to %last {                      // this thread's row groups of this rank's share
//     scf.for %t = 0 to %tokens step 8 {                // token tiles; then 4, 2 and 1 for what is left
//       %acc:8 = heddle.tile_product "q4_1" %x[%t], %w[%g] columns 576 …
//       … epilogue on vectors of 16 rows, stores …
//     }
//   }
//   heddle.barrier …
//
// Every op becomes loops over independent items (row groups, tokens, heads), cut evenly over threads, so that neither threads nor
// ranks nor tile heights appear in any result. One barrier stands after each op that others read.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "compiler/kernels/AttentionLoops.h"
#include "compiler/kernels/DescribeKernel.h"
#include "compiler/kernels/Items.h"
#include "compiler/planning/Environment.h"
#include "runtime/plan/StepAbi.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct TileKernels : heddle::ModulePass<TileKernels> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TileKernels)
  static constexpr llvm::StringLiteral flag = "heddle-tile-kernels";
  static constexpr llvm::StringLiteral summary = "turn ops on buffers into SPMD loops over register tiles";

  TileKernels() = default;
  explicit TileKernels(Target target) { this->target = targetName(target).str(); }
  TileKernels(const TileKernels &other) : ModulePass(other) { target = other.target.getValue(); }
  Option<std::string> target{*this, "target", llvm::cl::desc("x86-64-v3, x86-64-v4 or x86-64-v4+vnni"),
                             llvm::cl::init("x86-64-v3")};

  void runOnOperation() override {
    std::optional<Target> known = targetByName(target);
    if (!known) {
      getOperation().emitError("unknown target '") << target.getValue() << "' (x86-64-v3, x86-64-v4, x86-64-v4+vnni)";
      return signalPassFailure();
    }
    wide_ = *known != Target::Avx2;
    heights_ = wide_ ? SmallVector<int64_t>{8, 4, 2, 1} : SmallVector<int64_t>{4, 2, 1};
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<LinearOp, RmsNormOp, EmbedOp, SelectRowsOp, QuantizeOp, StoreKvOp, AttentionOp, AllGatherOp, ShareOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (failed(check(op)) || failed(tile(op)))
        return signalPassFailure();
  }

  /// What the tiling relies on and verifiers do not know: an edited stage is told, in the op's own words.
  LogicalResult check(Operation *op) {
    Builder b(&getContext());
    Type index = b.getIndexType(), dynamic = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
    SmallVector<std::pair<StringRef, Type>> needed{{"thread", index}, {"threads", index}, {"context", index}};
    auto tensor = [](Type type) { return isa<RankedTensorType>(type); };
    if (llvm::any_of(op->getOperandTypes(), tensor) || llvm::any_of(op->getResultTypes(), tensor))
      return op->emitOpError("stands on tensors: stage planned has buffers");
    auto head = [&](auto op, size_t shares) -> LogicalResult {
      if (op.getShares().size() != shares)
        return op.emitOpError("has no shares: stage sharded gives them");
      needed.append(
          {{"page_width", index}, {"kv", dynamic}, {"partials", MemRefType::get({ShapedType::kDynamic}, b.getF32Type())}});
      if (op.getRope()) {
        needed.push_back({"rope", MemRefType::get({ShapedType::kDynamic}, b.getF32Type())});
        needed.push_back({"rope_offsets", MemRefType::get({ShapedType::kDynamic}, b.getI64Type())});
      }
      return success();
    };
    if (auto store = dyn_cast<StoreKvOp>(op); store && failed(head(store, 2)))
      return failure();
    if (auto attention = dyn_cast<AttentionOp>(op);
        attention && attention.getSource() == KeySource::Paged && failed(head(attention, 4)))
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
    return isa<ShareOp>(op) ? success() : requireArguments(op->getParentOfType<func::FuncOp>(), needed);
  }

  LogicalResult tile(Operation *op);
  void linear(LinearOp op, Emit e);
  LogicalResult storeKv(StoreKvOp op, Emit e);
  LogicalResult attention(AttentionOp op, Emit e);

  bool wide_ = false;            // 32 registers of 16 f32, not 16 of 8
  SmallVector<int64_t> heights_; // token-tile heights, tallest first
};

/// A gather keeps the description of the op before it until its own turn comes.
constexpr llvm::StringLiteral kKernel = "kernel";

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
  if (auto gather = dyn_cast<AllGatherOp>(op)) {
    auto type = cast<MemRefType>(gather.getInput().getType());
    bool q8 = type.getRank() == 3;
    ShardAttr shard = *gather.getShard();
    int64_t columns = *gather.getColumns(), rowBytes = q8 ? type.getDimSize(1) * 40 : type.getDimSize(1) * 4;
    builder.create<GatherOp>(e.loc, gather.getInput(), argument(op, "context"), argument(op, "thread"), gather.getRanks(),
                             rowBytes, llvm::divideCeil(columns, shard.getSize()),
                             q8 ? shard.getSize() / 32 * 40 : shard.getSize() * 4, op->getAttrOfType<KernelAttr>(kKernel));
    op->erase();
    return success();
  }
  KernelAttr kernel = describeKernel(op);
  if (auto linearOp = dyn_cast<LinearOp>(op))
    linear(linearOp, e);
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
  if (auto gather = dyn_cast_or_null<AllGatherOp>(op->getNextNode())) // it waits for the threads itself
    gather->setAttr(kKernel, kernel);
  else
    builder.create<BarrierOp>(e.loc, argument(op, "context"), argument(op, "thread"), kernel);
  op->erase();
  return success();
}

/// Row groups of one weight: where this rank's begin, and how many there are.
struct Groups {
  Value begin, count, stored; // stored: the group that the weight's buffer starts with
};

void TileKernels::linear(LinearOp op, Emit e) {
  bool q8 = cast<MemRefType>(op.getOuts()[0].getType()).getRank() == 3, gated = op.getGate().has_value();
  int64_t step = q8 ? 2 : 1; // row groups of a tile: a requantised block of 32 features needs two
  ArrayRef<int64_t> rows = *op.getRows(), units = *op.getUnitRows();
  Value tokens = e.dim(op.getInput());

  SmallVector<Groups> groups;
  Value total = e.index(0);
  for (size_t i = 0; i < (gated ? 1 : op.getWeights().size()); ++i) {
    int64_t tiles = llvm::divideCeil(rows[i], kGroupRows * step);
    Value begin = e.index(0), end = e.index(tiles);
    if (!op.getShares().empty()) {
      Value perUnit = e.index(units[i] / (kGroupRows * step));
      begin = e.minimum(e.mul(op.getShares()[2 * i], perUnit), end);
      end = e.minimum(e.mul(op.getShares()[2 * i + 1], perUnit), end);
    }
    groups.push_back({begin, e.sub(end, begin), op.getWholeWeights() ? e.index(0) : begin});
    total = e.add(total, groups.back().count);
  }

  // Threads cut all weights' groups as one list: [first, last) of it is this thread's.
  auto [first, last] = threadRange(e, op, total);
  Value before = e.index(0);
  for (auto [i, group] : llvm::enumerate(groups)) {
    auto clamp = [&](Value x) { return e.add(group.begin, e.minimum(e.maximum(e.sub(x, before), e.index(0)), group.count)); };
    Value out = op.getOuts()[gated ? 0 : i];
    auto product = [&, i = i](Emit &e, Value t, Value g, int64_t height, size_t weight) {
      Value w = op.getWeights()[gated ? weight : i];
      StringRef format = cast<StringAttr>((*op.getFormats())[gated ? weight : i]).getValue();
      const FormatTraits &known = traits(*formatByName(std::string_view(format.data(), format.size())));
      int64_t columns = cast<MemRefType>(w.getType()).getDimSize(1) / known.packedBytes * known.blockElements;
      return SmallVector<Value>(e.b.create<TileProductOp>(e.loc, SmallVector<Type>(height, e.lanesType()), op.getInput(), t, w, g,
                                                          format, columns, wide_ || !known.quantized ? 16 : 8)
                                    .getAccumulators());
    };
    e.forLoop(clamp(first), clamp(last), 1, [&, &group = group](Emit &e, Value g) {
      Value stored = e.mul(e.sub(g, group.stored), e.index(step)), column = e.mul(g, e.index(kGroupRows * step));
      auto tileOf = [&](Emit &e, Value t, int64_t height) {
        SmallVector<SmallVector<Value>> parts; // per row group of the tile: one vector per token
        for (int64_t part = 0; part < step; ++part) {
          Value index = part ? e.add(stored, e.index(part)) : stored;
          SmallVector<Value> values = product(e, t, index, height, 0);
          if (gated) {
            SmallVector<Value> up = product(e, t, index, height, 1);
            for (auto [value, other] : llvm::zip(values, up))
              value = e.b.create<arith::MulFOp>(e.loc, e.b.create<TileActivateOp>(e.loc, e.lanesType(), value, op.getGateAttr()),
                                                other);
          }
          parts.push_back(values);
        }
        for (int64_t m = 0; m < height; ++m) {
          Value token = m ? e.add(t, e.index(m)) : t;
          SmallVector<Value, 2> v;
          for (int64_t part = 0; part < step; ++part) {
            v.push_back(parts[part][m]);
            if (op.getResidual())
              v[part] = e.addf(e.load(op.getResidual(), {token, part ? e.add(column, e.index(16)) : column}), v[part]);
          }
          if (q8)
            e.b.create<TileQuantizeOp>(e.loc, v[0], v[1], out, token, g);
          else
            e.store(v[0], out, {token, column});
        }
      };
      // The tallest tiles first, then what is left, so that any token count runs through the same code.
      Value from = e.index(0);
      for (int64_t height : heights_) {
        Value to = e.add(from, e.mul(e.div(e.sub(tokens, from), e.index(height)), e.index(height)));
        e.forLoop(from, to, height, [&](Emit &e, Value t) { tileOf(e, t, height); });
        from = to;
      }
    });
    before = e.add(before, group.count);
  }
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
  int64_t unit = *style == RopeStyle::Neox ? 32 : 16;
  if (ropeDims % unit)
    return op->emitOpError("cannot be lowered yet for ")
           << ropeDims << " rotated dimensions in this RoPE style: a multiple of " << unit;
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
  AttentionLoops loops(op, state, ropeOffset, ropeDims, wide_);
  Value few = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::ule, e.dim(op.getQuery()), e.index(kSplitTokens));
  auto branch = e.b.create<scf::IfOp>(e.loc, few, /*withElseRegion=*/true);
  OpBuilder byChunks = branch.getThenBodyBuilder(), byQueries = branch.getElseBodyBuilder();
  loops.overChunks(Emit{byChunks, e.loc});
  loops.overQueries(Emit{byQueries, e.loc});
  return success();
}
} // namespace

std::unique_ptr<Pass> heddle::createTileKernelsPass(Target target) { return std::make_unique<TileKernels>(target); }
