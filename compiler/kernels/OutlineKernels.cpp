//===- OutlineKernels.cpp - every distinct op on buffers becomes a function, once ------------------------------------===//
//
//   func.func private @window_block(…) {
//     heddle.rms_norm %x, %attn_norm eps 1.0e-6 outs(%view) …
//     …
//   func.func private @full_block(…) {
//     heddle.rms_norm %x, %ffn_norm eps 1.0e-6 outs(%view_9) …
// →
//   func.func private @rms_norm(%x, %weight, %y, %thread, %threads) {
//     heddle.rms_norm %x, %weight eps 1.0e-6 outs(%y) …
//   }
//   func.func private @window_block(…) {
//     call @rms_norm(%x, %attn_norm, %view, %thread, %threads)
//     heddle.barrier %context, %thread after <name = "window_block.attn_norm">
//     …
//   func.func private @full_block(…) {
//     call @rms_norm(%x, %ffn_norm, %view_9, %thread, %threads)
//     heddle.barrier %context, %thread after <name = "full_block.ffn_norm">
//
// Kinds of blocks that differ in one weight's format share all other kernels, so that compiling takes as long as the distinct
// kernels do. Blocks are left with what stands between kernels: a barrier after each, or a gather, which waits for the threads
// itself.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "compiler/kernels/DescribeKernel.h"
#include "compiler/planning/Environment.h"
#include "llvm/ADT/TypeSwitch.h"
#include <numeric>

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// The operands' names as the kernel's arguments, in their order.
static SmallVector<std::string> operandNames(Operation *op) {
  SmallVector<std::string> names;
  auto one = [&](StringRef name, Value operand) {
    if (operand)
      names.push_back(name.str());
  };
  auto each = [&](StringRef name, ValueRange operands) {
    for (size_t i = 0; i < operands.size(); ++i)
      names.push_back(name.str() + (operands.size() > 1 ? std::to_string(i) : ""));
  };
  auto shares = [&](ValueRange operands, ArrayRef<StringRef> of) { // pairs [begin, end)
    for (size_t i = 0; i < operands.size(); ++i)
      names.push_back((of.empty() ? "share" + std::to_string(i / 2) : of[i / 2].str()) + (i % 2 ? "_end" : "_begin"));
  };
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](LinearOp linear) {
        one("x", linear.getInput()), each("w", linear.getWeights()), one("residual", linear.getResidual());
        shares(linear.getShares(), {}), each("y", linear.getOuts());
      })
      .Case([&](RmsNormOp norm) {
        one("x", norm.getInput()), one("weight", norm.getWeight()), one("residual", norm.getResidual()), one("y", norm.getOut());
      })
      .Case([&](EmbedOp embed) { one("ids", embed.getIds()), one("table", embed.getTable()), one("y", embed.getOut()); })
      .Case([&](SelectRowsOp select) { one("x", select.getInput()), one("rows", select.getRows()), one("y", select.getOut()); })
      .Case([&](QuantizeOp quantize) { one("x", quantize.getInput()), one("y", quantize.getOut()); })
      .Case([&](StoreKvOp store) {
        one("keys", store.getKeys()), one("values", store.getValues()), one("positions", store.getPositions());
        one("sequences", store.getSequences()), one("page_table", store.getPageTable()), one("layer", store.getLayer());
        one("k_norm", store.getKNorm()), shares(store.getShares(), {"kv_heads"});
      })
      .Case([&](AttentionOp attention) {
        one("query", attention.getQuery()), one("keys", attention.getKeys()), one("values", attention.getValues());
        one("positions", attention.getPositions()), one("sequences", attention.getSequences());
        one("page_table", attention.getPageTable()), one("layer", attention.getLayer()), one("q_norm", attention.getQNorm());
        one("bias", attention.getBias()), shares(attention.getShares(), {"heads", "kv_heads"}), one("out", attention.getOut());
      });
  return names;
}

/// rms_norm, attention_window512, linear_q5_0_q8_0_1536x640: the formats of its weights, the rows of all together × columns.
static std::string kernelName(Operation *op) {
  std::string name = op->getName().stripDialect().str();
  if (auto attention = dyn_cast<AttentionOp>(op); attention && attention.getWindow())
    return name + "_window" + std::to_string(attention.getWindow());
  auto linear = dyn_cast<LinearOp>(op);
  if (!linear)
    return name;
  StringRef last;
  for (StringRef format : linear.getFormats()->getAsValueRange<StringAttr>())
    if (format != std::exchange(last, format))
      name += "_" + format.str();
  auto input = cast<MemRefType>(linear.getInput().getType());
  int64_t rows = std::reduce(linear.getRows()->begin(), linear.getRows()->end()),
          columns = input.getDimSize(1) * (input.getRank() == 3 ? 32 : 1);
  return (linear.getGate() ? "gated_" : "") + name + "_" + std::to_string(rows) + "x" + std::to_string(columns);
}

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
      if (isKernel(op) || isa<AllGatherOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (failed(check(op)))
        return signalPassFailure();
    KernelAttr before;
    for (Operation *op : ops) {
      if (auto gathered = dyn_cast<AllGatherOp>(op))
        gather(gathered, std::exchange(before, nullptr));
      else
        before = outline(op);
    }
  }

private:
  LogicalResult check(Operation *op) {
    auto function = op->getParentOfType<func::FuncOp>();
    Type index = IndexType::get(&getContext());
    if (failed(requireBuffers(op)) || failed(requireArguments(function, {{"thread", index}, {"context", index}})))
      return failure();
    return requireArguments(function, kernelEnvironment(op));
  }

  /// Returns the description for a gather that directly follows, which then serves as the barrier; null otherwise.
  KernelAttr outline(Operation *op) {
    OpBuilder b(op);
    KernelAttr description = describeKernel(op);
    SmallVector<Value> operands(op->getOperands());
    for (auto &[name, type] : kernelEnvironment(op))
      operands.push_back(argument(op, name));
    b.create<func::CallOp>(op->getLoc(), functionOf(op), operands);
    bool gathered = isa_and_nonnull<AllGatherOp>(op->getNextNode());
    if (!gathered)
      b.create<BarrierOp>(op->getLoc(), argument(op, "context"), argument(op, "thread"), description);
    op->erase();
    return gathered ? description : KernelAttr();
  }

  /// The function that holds an op equal to this one but for its operands' values.
  func::FuncOp functionOf(Operation *op) {
    for (auto &[known, function] : kernels_)
      if (OperationEquivalence::isEquivalentTo(known, op, OperationEquivalence::ignoreValueEquivalence, nullptr,
                                               OperationEquivalence::IgnoreLocations))
        return function;
    SmallVector<std::string> names = operandNames(op);
    SmallVector<Type> types(op->getOperandTypes());
    for (auto &[name, type] : kernelEnvironment(op))
      names.push_back(name.str()), types.push_back(type);
    if (names.size() != types.size())
      llvm::report_fatal_error("operandNames has another number of operands than " + op->getName().getStringRef());
    std::string stem = kernelName(op), free = stem;
    for (int n = 2; getOperation().lookupSymbol(free); ++n)
      free = stem + "_" + std::to_string(n);
    OpBuilder b(*getOperation().getOps<func::FuncOp>().begin());
    if (!kernels_.empty())
      b.setInsertionPointAfter(kernels_.back().second);
    auto function = b.create<func::FuncOp>(op->getLoc(), free, b.getFunctionType(types, {}));
    function.setPrivate();
    for (auto [i, name] : llvm::enumerate(names))
      function.setArgAttr(i, kArgumentName, b.getStringAttr(name));
    Block *entry = function.addEntryBlock();
    b.setInsertionPointToEnd(entry);
    Operation *own = b.clone(*op);
    own->setOperands(entry->getArguments().take_front(op->getNumOperands()));
    b.create<func::ReturnOp>(op->getLoc());
    kernels_.push_back({own, function});
    return function;
  }

  /// Makes a value whole on every rank, in place: rows of f32 or of q8 blocks of 40 bytes.
  void gather(AllGatherOp op, KernelAttr description) {
    OpBuilder b(op);
    auto type = cast<MemRefType>(op.getInput().getType());
    ShardAttr shard = *op.getShard();
    bool q8 = type.getRank() == 3;
    int64_t columns = *op.getColumns(), rowBytes = type.getDimSize(1) * (q8 ? 40 : 4);
    b.create<GatherOp>(op.getLoc(), op.getInput(), argument(op, "context"), argument(op, "thread"), op.getRanks(), rowBytes,
                       llvm::divideCeil(columns, shard.getSize()), q8 ? shard.getSize() / 32 * 40 : shard.getSize() * 4,
                       description);
    op->erase();
  }

  SmallVector<std::pair<Operation *, func::FuncOp>> kernels_; // the op in its function
};
} // namespace

std::unique_ptr<Pass> heddle::createOutlineKernelsPass() { return std::make_unique<OutlineKernels>(); }
