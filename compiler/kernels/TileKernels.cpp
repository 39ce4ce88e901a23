//===- TileKernels.cpp - from ops on buffers to loops over register tiles -------------------------------------------===//
//
//   func.func private @rms_norm(%x, %weight, %y) {
//     heddle.rms_norm %x, %weight eps 1.0e-5 outs(%y) …
// →
//   func.func private @rms_norm(%x, %weight, %y) {
//     scf.for %t = %first to %last {                      // this thread's tokens
//       heddle.tile_rms_norm %x, %weight -> %y[%t] eps 1.0e-5 …
//     }
//
// OutlineKernels has put each op into a function of its own, and barriers between calls; each op's loops are in KernelLoops.cpp.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/kernels/Items.h"
#include "compiler/kernels/KernelLoops.h"
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
    LoopShape shape{*known, cacheBytes, prefetchBytes};
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<ComputeOp, ShareOp, AllGatherOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (failed(tile(op, shape)))
        return signalPassFailure();
  }

private:
  static LogicalResult tile(Operation *op, const LoopShape &shape) {
    OpBuilder builder(op);
    Emit e{builder, op->getLoc()};
    if (auto share = dyn_cast<ShareOp>(op))
      return emitShare(share, e), success();
    auto function = dyn_cast<func::FuncOp>(op->getParentOp());
    if (!isa<ComputeOp>(op) || !function || op != &op->getBlock()->front() ||
        op->getNextNode() != op->getBlock()->getTerminator())
      return op->emitOpError("has no function of its own: run heddle-outline-kernels first");
    if (!isOnBuffers(op) || op->getNumResults())
      return op->emitOpError("stands on tensors: stage planned has buffers");
    const KernelLoops *loops = kernelLoopsOf(op);
    if (!loops)
      return op->emitOpError("has no loops yet (compiler/kernels/KernelLoops.cpp)");
    if (failed(loops->emit(op, e, shape)))
      return failure();
    op->erase();
    return success();
  }

  /// runtime/plan/Share.h, in index arithmetic.
  static void emitShare(ShareOp share, Emit &e) {
    Value units = e.index(share.getUnits()), rank = e.environment(Place::Rank), ranks = e.environment(Place::Ranks);
    Value begin = e.div(e.mul(units, rank), ranks), end = e.div(e.mul(units, e.add(rank, e.index(1))), ranks);
    if (auto perKvHead = share.getGroup()) {
      Value group = e.index(static_cast<int64_t>(*perKvHead));
      Value first = e.div(begin, group), last = e.div(e.add(end, e.sub(group, e.index(1))), group);
      Value empty = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, begin, end);
      begin = first, end = e.select(empty, first, last);
    }
    share.getBegin().replaceAllUsesWith(begin);
    share.getEnd().replaceAllUsesWith(end);
    share.erase();
  }
};
} // namespace

std::unique_ptr<Pass> heddle::createTileKernelsPass(LoopShape shape) { return std::make_unique<TileKernels>(shape); }
