//===- OutlineKernels.cpp - every distinct op on buffers becomes a function, once ------------------------------------===//
//
//   func.func private @window_block(…) {
//     heddle.rms_norm %x, %attn_norm eps 1.0e-6 outs(%h) …
//     …
//   func.func private @full_block(…) {
//     heddle.rms_norm %x, %ffn_norm eps 1.0e-6 outs(%h_9) …
// →
//   func.func private @rms_norm(%x, %weight, %y) {
//     heddle.rms_norm %x, %weight eps 1.0e-6 outs(%y) …
//   }
//   func.func private @window_block(…) {
//     call @rms_norm(%x, %attn_norm, %h)
//     heddle.barrier after <name = "window_block.attn_norm">
//     …
//   func.func private @full_block(…) {
//     call @rms_norm(%x, %ffn_norm, %h_9)
//     heddle.barrier after <name = "full_block.ffn_norm">
//
// Kinds of blocks that differ in one weight's format share all other kernels, so that compiling takes as long as the distinct
// kernels do. Blocks are left with what stands between kernels: a barrier after each, or a gather, which waits for the threads
// itself.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "compiler/kernels/DescribeKernel.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct OutlineKernels : heddle::ModulePass<OutlineKernels> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(OutlineKernels)
  static constexpr llvm::StringLiteral flag = "heddle-outline-kernels";
  static constexpr llvm::StringLiteral summary =
      "give each distinct op on buffers a function, with barriers and gathers between calls";

  void runOnOperation() override {
    kernels_.clear();
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<ComputeOp, AllGatherOp>(op))
        ops.push_back(op);
    });
    auto tensor = [](Type type) { return isa<RankedTensorType>(type); };
    for (Operation *op : ops)
      if (llvm::any_of(op->getOperandTypes(), tensor) || llvm::any_of(op->getResultTypes(), tensor)) {
        op->emitOpError("stands on tensors: stage planned has buffers");
        return signalPassFailure();
      }
    KernelAttr before;
    for (Operation *op : ops) {
      if (auto gathered = dyn_cast<AllGatherOp>(op))
        gather(gathered, std::exchange(before, nullptr));
      else
        before = outline(cast<ComputeOp>(op));
    }
    for (auto &[op, function, places] : kernels_)
      for (Operation *part : {op, function.getOperation(), function.front().getTerminator()})
        part->setLoc(FusedLoc::get(&getContext(), places));
  }

private:
  /// Returns the description for a gather that directly follows, which then serves as the barrier; null otherwise.
  KernelAttr outline(ComputeOp op) {
    OpBuilder b(op);
    KernelAttr description = describeKernel(op);
    b.create<func::CallOp>(op.getLoc(), functionOf(op), op->getOperands());
    bool gathered = isa_and_nonnull<AllGatherOp>(op->getNextNode());
    if (!gathered)
      b.create<BarrierOp>(op.getLoc(), description);
    op->erase();
    return gathered ? description : KernelAttr();
  }

  /// The function that holds an op equal to this one but for its operands' values.
  func::FuncOp functionOf(ComputeOp op) {
    for (auto &[known, function, places] : kernels_)
      if (OperationEquivalence::isEquivalentTo(known, op, OperationEquivalence::ignoreValueEquivalence, nullptr,
                                               OperationEquivalence::IgnoreLocations)) {
        places.push_back(op.getLoc());
        return function;
      }
    SmallVector<std::string> names = op.operandNames();
    if (names.size() != op->getNumOperands())
      llvm::report_fatal_error("operandNames has another number of operands than " + op->getName().getStringRef());
    std::string stem = op.kernelName(), free = stem;
    for (int n = 2; getOperation().lookupSymbol(free); ++n)
      free = stem + "_" + std::to_string(n);
    OpBuilder b(*getOperation().getOps<func::FuncOp>().begin());
    if (!kernels_.empty())
      b.setInsertionPointAfter(kernels_.back().function);
    auto function = b.create<func::FuncOp>(op.getLoc(), free, b.getFunctionType(op->getOperandTypes(), {}));
    function.setPrivate();
    for (auto [i, name] : llvm::enumerate(names))
      function.setArgAttr(i, kArgumentName, b.getStringAttr(name));
    Block *entry = function.addEntryBlock();
    b.setInsertionPointToEnd(entry);
    Operation *own = b.clone(*op);
    own->setOperands(entry->getArguments());
    b.create<func::ReturnOp>(op.getLoc());
    kernels_.push_back({own, function, {op.getLoc()}});
    return function;
  }

  /// Makes a value whole on every rank, in place: rows of f32 or of q8 blocks of 40 bytes.
  void gather(AllGatherOp op, KernelAttr description) {
    OpBuilder b(op);
    ShardAttr shard = *op.getShard();
    bool q8 = isQ8(op.getInput().getType());
    int64_t columns = *op.getColumns(), features = lastDim(op.getInput().getType());
    b.create<GatherOp>(op.getLoc(), op.getInput(), q8 ? features / 32 * 40 : features * 4,
                       llvm::divideCeil(columns, shard.getSize()), q8 ? shard.getSize() / 32 * 40 : shard.getSize() * 4,
                       description);
    op->erase();
  }

  struct Kernel {
    Operation *op; // in its function
    func::FuncOp function;
    SmallVector<Location> places; // of all the ops that it does the work of
  };
  SmallVector<Kernel> kernels_;
};
} // namespace

std::unique_ptr<Pass> heddle::createOutlineKernelsPass() { return std::make_unique<OutlineKernels>(); }
