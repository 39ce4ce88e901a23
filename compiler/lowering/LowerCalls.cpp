//===- LowerCalls.cpp - barriers and gathers become calls into the runtime -------------------------------------------===//
//
//   heddle.barrier %context, %thread              →   call @heddle_barrier(%context, %thread)
//   heddle.gather %buffer, %context, %thread, …   →   scf.if ranks == 1 { barrier } else { call @heddle_all_gather(…) }
//
// The two functions are the whole of what a step asks of the process that runs it (runtime/plan/StepAbi.h).
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "compiler/kernels/Emit.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
struct LowerCalls : heddle::ModulePass<LowerCalls> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerCalls)
  static constexpr llvm::StringLiteral flag = "heddle-lower-calls";
  static constexpr llvm::StringLiteral summary = "lower barriers and gathers to calls into the runtime";

  func::FuncOp declare(StringRef name, unsigned arguments) {
    if (auto known = getOperation().lookupSymbol<func::FuncOp>(name))
      return known;
    OpBuilder b = OpBuilder::atBlockBegin(getOperation().getBody());
    auto function = b.create<func::FuncOp>(getOperation().getLoc(), name,
                                           b.getFunctionType(SmallVector<Type>(arguments, b.getI64Type()), {}));
    function.setPrivate();
    return function;
  }

  static Value i64(Emit &e, Value index) { return e.b.create<arith::IndexCastOp>(e.loc, e.b.getI64Type(), index); }

  void barrier(Emit &e, Value context, Value thread, KernelAttr kernel) {
    e.b.create<func::CallOp>(e.loc, declare("heddle_barrier", 3),
                             ValueRange{i64(e, context), i64(e, thread), describe(e, kernel)});
  }

  /// The address of a StepKernel (runtime/plan/StepAbi.h) with these figures, one for equal kernels.
  Value describe(Emit &e, KernelAttr kernel) {
    if (!kernel)
      return e.b.create<arith::ConstantOp>(e.loc, e.b.getI64IntegerAttr(0));
    LLVM::GlobalOp &global = kernels_[kernel];
    if (!global) {
      std::string bytes;
      for (int64_t figure : {kernel.getWeightBytes(), kernel.getIntegerMacs(), kernel.getFloatMacs(), kernel.getWanted(),
                             kernel.getKeyBytes(), kernel.getKeyMacs(), kernel.getWindow()})
        bytes.append(reinterpret_cast<const char *>(&figure), sizeof figure); // x86 is little-endian, like this host
      bytes += kernel.getName().str() + '\0';
      OpBuilder b = OpBuilder::atBlockBegin(getOperation().getBody());
      global = b.create<LLVM::GlobalOp>(getOperation().getLoc(), LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size()),
                                        /*isConstant=*/true, LLVM::Linkage::Internal,
                                        "kernel_" + std::to_string(kernels_.size() - 1), b.getStringAttr(bytes), /*alignment=*/8);
    }
    return e.b.create<LLVM::PtrToIntOp>(e.loc, e.b.getI64Type(), e.b.create<LLVM::AddressOfOp>(e.loc, global));
  }

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<BarrierOp, GatherOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      OpBuilder b(op);
      Emit e{b, op->getLoc()};
      if (auto wait = dyn_cast<BarrierOp>(op))
        barrier(e, wait.getContext(), wait.getThread(), wait.getKernelAttr());
      else {
        auto gather = cast<GatherOp>(op);
        Value alone = b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, gather.getRanks(), e.index(1));
        auto branch = b.create<scf::IfOp>(e.loc, alone, /*withElseRegion=*/true);
        OpBuilder then = branch.getThenBodyBuilder(), other = branch.getElseBodyBuilder();
        Emit inThen{then, e.loc}, inElse{other, e.loc};
        barrier(inThen, gather.getContext(), gather.getThread(), gather.getKernelAttr());
        Value data = other.create<memref::ExtractAlignedPointerAsIndexOp>(e.loc, gather.getBuffer());
        other.create<func::CallOp>(
            e.loc, declare("heddle_all_gather", 8),
            ValueRange{i64(inElse, gather.getContext()), i64(inElse, gather.getThread()), i64(inElse, data),
                       i64(inElse, inElse.dim(gather.getBuffer())), i64(inElse, inElse.index(gather.getRowBytes())),
                       i64(inElse, inElse.index(gather.getUnits())), i64(inElse, inElse.index(gather.getUnitBytes())),
                       describe(inElse, gather.getKernelAttr())});
      }
      op->erase();
    }
    // Declarations have told the runtime what it must know (the manifest); object code has no place for them.
    for (Operation &op : llvm::make_early_inc_range(*getOperation().getBody()))
      if (isa<WeightOp, RopeTableOp, PagedStateOp>(op))
        op.erase();
    kernels_.clear();
  }

  llvm::DenseMap<Attribute, LLVM::GlobalOp> kernels_;
};
} // namespace

std::unique_ptr<Pass> heddle::createLowerCallsPass() { return std::make_unique<LowerCalls>(); }
