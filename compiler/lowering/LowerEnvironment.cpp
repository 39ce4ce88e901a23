//===- LowerEnvironment.cpp - what a step is given, and what it asks of the runtime ----------------------------------===//
//
//   func.func @step() {                              func.func @heddle_entry_step(%frame: !llvm.ptr, %thread: i64) {
//     %n = heddle.count tokens                         %p = llvm.getelementptr %frame[8]; %n = llvm.load %p …
//     %w = heddle.get @w : memref<…>           →       %w = … frame.weights + frame.weightOffsets[3]
//     call @block(%x, %w)                              call @block(%frame, %thread, %x, %w)
//     heddle.barrier                                   call @heddle_barrier(%frame, %thread, %kernel)
//
// Every function gets the frame of the call and its thread (runtime/plan/Frame.h), and environment ops become loads from it. Rows
// of q8 and packed weights become the bytes that they are.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "compiler/kernels/Emit.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "runtime/plan/Frame.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
/// Position of a declared symbol (verifiers have looked it up) among its kind: its row in the manifest.
template <class SymbolOp> int64_t numberOf(ModuleOp module, StringRef name) {
  int64_t number = 0;
  for (SymbolOp op : module.getOps<SymbolOp>()) {
    if (op.getSymName() == name)
      return number;
    ++number;
  }
  llvm::report_fatal_error("symbol is not declared: " + name);
}

/// Loads from the frame of the function that `e` builds in.
struct FrameAccess {
  Emit e;
  Value frame, thread;
  Type pointer() const { return LLVM::LLVMPointerType::get(e.b.getContext()); }

  Value at(Value base, Value bytes) const {
    return e.b.create<LLVM::GEPOp>(e.loc, pointer(), e.b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{bytes});
  }
  Value at(Value base, size_t bytes) const {
    return e.b.create<LLVM::GEPOp>(e.loc, pointer(), e.b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)});
  }
  Value loadPointer(Value base, size_t bytes) const { return e.b.create<LLVM::LoadOp>(e.loc, pointer(), at(base, bytes)); }
  Value loadInteger(Value base, size_t bytes) const { return e.b.create<LLVM::LoadOp>(e.loc, e.b.getI64Type(), at(base, bytes)); }
  Value index(Value i64) const { return e.b.create<arith::IndexCastOp>(e.loc, e.b.getIndexType(), i64); }
  Value i64(Value index) const { return e.b.create<arith::IndexCastOp>(e.loc, e.b.getI64Type(), index); }
  Value constant(int64_t n) const { return e.b.create<arith::ConstantOp>(e.loc, e.b.getI64IntegerAttr(n)); }

  /// A buffer [rows × …] (or [rows]) at an address, from its descriptor: pointers, offset 0, sizes, strides.
  Value buffer(Value address, MemRefType type, Value rows) const {
    int64_t rank = type.getRank();
    auto sizes = LLVM::LLVMArrayType::get(e.b.getI64Type(), rank);
    auto descriptor = LLVM::LLVMStructType::getLiteral(e.b.getContext(), {pointer(), pointer(), e.b.getI64Type(), sizes, sizes});
    Value d = e.b.create<LLVM::UndefOp>(e.loc, descriptor);
    auto set = [&](Value value, ArrayRef<int64_t> where) { d = e.b.create<LLVM::InsertValueOp>(e.loc, d, value, where); };
    set(address, {0}), set(address, {1}), set(constant(0), {2});
    int64_t stride = 1;
    for (int64_t i = rank - 1; i >= 0; --i) {
      set(type.isDynamicDim(i) ? rows : constant(type.getDimSize(i)), {3, i});
      set(constant(stride), {4, i});
      stride *= type.isDynamicDim(i) ? 1 : type.getDimSize(i); // only the first dimension is dynamic
    }
    return e.b.create<UnrealizedConversionCastOp>(e.loc, type, d).getResult(0);
  }
};

/// Types as LLVM will see them: q8 rows and packed weights are bytes.
Type plain(Type type) {
  auto buffer = dyn_cast<MemRefType>(type);
  return buffer && isa<Q8Type, PackedType>(buffer.getElementType()) ? Type(bytesType(buffer)) : type;
}

struct LowerEnvironment : heddle::ModulePass<LowerEnvironment> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerEnvironment)
  static constexpr llvm::StringLiteral flag = "heddle-lower-environment";
  static constexpr llvm::StringLiteral summary =
      "lower the environment to loads from the frame, barriers and gathers to calls into the runtime";

  void runOnOperation() override {
    kernels_.clear();
    SmallVector<func::FuncOp> functions;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal())
        functions.push_back(function);
    for (func::FuncOp function : functions)
      if (failed(check(function)))
        return signalPassFailure();
    for (func::FuncOp function : functions)
      lower(function);
    // Declarations have told the runtime what it must know (the manifest); object code has no place for them.
    for (Operation &op : llvm::make_early_inc_range(*getOperation().getBody()))
      if (isa<WeightOp, RopeTableOp, StateOp>(op))
        op.erase();
  }

private:
  /// What an edited stage may hold that no code can be made of.
  static LogicalResult check(func::FuncOp function) {
    WalkResult result = function.walk([&](Operation *op) -> WalkResult {
      if (isa<ComputeOp, AllGatherOp, ShareOp>(op) || op->getName().getStringRef().starts_with("heddle.tile_"))
        return op->emitOpError("is not lowered: this is no stage of loops");
      for (Type type : op->getResultTypes())
        if (isa<TensorType>(type))
          return op->emitOpError("makes a tensor: this is no stage of loops");
      return WalkResult::advance();
    });
    if (function.isPublic() && (function.getNumArguments() || function.getNumResults()))
      return function.emitError("entry ") << function.getName() << " must have no arguments and no results";
    return failure(result.wasInterrupted());
  }

  void lower(func::FuncOp function) {
    MLIRContext *context = &getContext();
    Location loc = function.getLoc();
    Block &entry = function.front();
    for (Type &type : types_ = SmallVector<Type>(function.getArgumentTypes()))
      type = plain(type);
    Value frame = entry.insertArgument(0u, LLVM::LLVMPointerType::get(context), loc);
    Value thread = entry.insertArgument(1u, IntegerType::get(context, 64), loc);
    types_.insert(types_.begin(), {frame.getType(), thread.getType()});
    function.setAllArgAttrs(SmallVector<DictionaryAttr>()); // names have been shown
    function.setFunctionType(FunctionType::get(context, types_, {}));
    for (auto [argument, type] : llvm::zip(entry.getArguments(), types_))
      argument.setType(type);
    if (function.isPublic())
      function.setName(kEntryPrefix + function.getName().str());

    SmallVector<Operation *> ops;
    function.walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : ops) {
      OpBuilder b(op);
      FrameAccess f{{b, op->getLoc()}, frame, thread};
      if (auto call = dyn_cast<func::CallOp>(op)) {
        call.getOperandsMutable().assign([&] {
          SmallVector<Value> operands{frame, thread};
          operands.append(call.getOperands().begin(), call.getOperands().end());
          return operands;
        }());
      } else if (auto wait = dyn_cast<BarrierOp>(op)) {
        barrier(f, wait.getKernelAttr());
        op->erase();
      } else if (auto crossing = dyn_cast<GatherOp>(op)) {
        gather(f, crossing);
        op->erase();
      } else if (SmallVector<Value> values = environment(f, op); !values.empty()) {
        op->replaceAllUsesWith(values);
        op->erase();
      }
    }
  }

  static size_t offsetOf(BatchList list) {
    switch (list) {
    case BatchList::Ids:
      return offsetof(Frame, ids);
    case BatchList::Positions:
      return offsetof(Frame, positions);
    case BatchList::Sequences:
      return offsetof(Frame, sequenceOf);
    case BatchList::Wanted:
      return offsetof(Frame, wantedRows);
    case BatchList::First:
      return offsetof(Frame, firstRows);
    case BatchList::Last:
      return offsetof(Frame, lastRows);
    case BatchList::Types:
      return offsetof(Frame, types);
    }
  }

  /// The values of an environment op; none of any other.
  SmallVector<Value> environment(FrameAccess &f, Operation *op) {
    ModuleOp module = getOperation();
    auto field = [&](size_t offset) { return f.loadInteger(f.frame, offset); };
    auto pointer = [&](size_t offset) { return f.loadPointer(f.frame, offset); };
    auto count = [&](RowCount rows) {
      return field(rows == RowCount::Tokens   ? offsetof(Frame, tokens)
                   : rows == RowCount::Wanted ? offsetof(Frame, wanted)
                                              : offsetof(Frame, sequences));
    };
    auto resultType = [&](unsigned i) { return cast<MemRefType>(plain(op->getResult(i).getType())); };
    /// Of a list of i64: element `number`.
    auto listed = [&](size_t offset, int64_t number) { return f.loadInteger(pointer(offset), static_cast<size_t>(number) * 8); };

    auto stateView = [&](StringRef state) {
      return f.loadPointer(pointer(offsetof(Frame, states)),
                           static_cast<size_t>(numberOf<StateOp>(module, state)) * sizeof(void *));
    };

    if (auto batch = dyn_cast<BatchOp>(op)) {
      return {f.buffer(pointer(offsetOf(batch.getList())), resultType(0), count(batch.elements()))};
    }
    if (auto counted = dyn_cast<CountOp>(op))
      return {f.index(count(counted.getRows()))};
    if (auto place = dyn_cast<EnvironmentOp>(op)) {
      switch (place.getPlace()) {
      case Place::Thread:
        return {f.index(f.thread)};
      case Place::Threads:
        return {f.index(field(offsetof(Frame, threads)))};
      case Place::Rank:
        return {f.index(field(offsetof(Frame, rank)))};
      case Place::Ranks:
        return {f.index(field(offsetof(Frame, ranks)))};
      }
    }
    if (auto get = dyn_cast<GetOp>(op)) {
      Value offset = listed(offsetof(Frame, weightOffsets), numberOf<WeightOp>(module, get.getWeight()));
      return {f.buffer(f.at(pointer(offsetof(Frame, weights)), offset), resultType(0), Value())};
    }
    if (auto buffer = dyn_cast<BufferOp>(op)) {
      Value offset =
          f.e.b.create<arith::MulIOp>(f.e.loc, count(RowCount::Tokens), f.constant(static_cast<int64_t>(buffer.getOffset())));
      return {f.buffer(f.at(pointer(offsetof(Frame, arena)), offset), resultType(0), f.i64(buffer.getRows()))};
    }
    if (auto output = dyn_cast<OutputOp>(op)) {
      Value address = f.loadPointer(pointer(offsetof(Frame, outputs)), static_cast<size_t>(output.getNumber()) * sizeof(void *));
      return {f.buffer(address, resultType(0), f.i64(output.getRows()))};
    }
    if (auto pages = dyn_cast<PagesOp>(op)) {
      Value view = stateView(pages.getState());
      Value width = f.loadInteger(view, offsetof(StateView, pageTableWidth));
      Value entries = f.e.b.create<arith::MulIOp>(f.e.loc, count(RowCount::Sequences), width);
      // Nothing asks for the size of the memory.
      return {f.buffer(f.loadPointer(view, offsetof(StateView, memory)), resultType(0), f.constant(INT64_MAX)),
              f.buffer(f.loadPointer(view, offsetof(StateView, pageTable)), resultType(1), entries), f.index(width)};
    }
    if (auto lengths = dyn_cast<LengthsOp>(op)) {
      Value view = stateView(lengths.getState());
      return {f.buffer(f.loadPointer(view, offsetof(StateView, lengths)), resultType(0), count(RowCount::Sequences))};
    }
    if (auto angles = dyn_cast<AnglesOp>(op)) {
      Value first = listed(offsetof(Frame, ropeOffsets), numberOf<RopeTableOp>(module, angles.getTable()));
      Value offset = f.e.b.create<arith::MulIOp>(f.e.loc, first, f.constant(sizeof(float)));
      return {f.buffer(f.at(pointer(offsetof(Frame, ropes)), offset), resultType(0), f.constant(INT64_MAX))};
    }
    if (isa<PartialsOp>(op))
      return {f.buffer(pointer(offsetof(Frame, partials)), resultType(0), f.constant(INT64_MAX))};
    if (auto bytes = dyn_cast<BytesOp>(op))
      return {bytes.getBuffer()}; // retyped where it was made
    return {};
  }

  func::FuncOp declare(StringRef name, ArrayRef<Type> arguments) {
    if (auto known = getOperation().lookupSymbol<func::FuncOp>(name))
      return known;
    OpBuilder b = OpBuilder::atBlockBegin(getOperation().getBody());
    auto function = b.create<func::FuncOp>(getOperation().getLoc(), name, b.getFunctionType(arguments, {}));
    function.setPrivate();
    return function;
  }

  void barrier(FrameAccess &f, KernelAttr kernel) {
    Type i64 = f.e.b.getI64Type();
    f.e.b.create<func::CallOp>(f.e.loc, declare("heddle_barrier", {f.pointer(), i64, f.pointer()}),
                               ValueRange{f.frame, f.thread, describe(f, kernel)});
  }

  void gather(FrameAccess &f, GatherOp op) {
    OpBuilder &b = f.e.b;
    Value ranks = f.loadInteger(f.frame, offsetof(Frame, ranks));
    Value alone = b.create<arith::CmpIOp>(f.e.loc, arith::CmpIPredicate::eq, ranks, f.constant(1));
    auto branch = b.create<scf::IfOp>(f.e.loc, alone, /*withElseRegion=*/true);
    OpBuilder then = branch.getThenBodyBuilder(), other = branch.getElseBodyBuilder();
    FrameAccess inThen{{then, f.e.loc}, f.frame, f.thread}, inElse{{other, f.e.loc}, f.frame, f.thread};
    barrier(inThen, op.getKernelAttr());
    Value data = other.create<memref::ExtractAlignedPointerAsIndexOp>(f.e.loc, op.getBuffer());
    Value address = other.create<LLVM::IntToPtrOp>(f.e.loc, f.pointer(), inElse.i64(data));
    Type i64 = b.getI64Type();
    other.create<func::CallOp>(
        f.e.loc, declare("heddle_all_gather", {f.pointer(), i64, f.pointer(), i64, i64, i64, i64, f.pointer()}),
        ValueRange{f.frame, f.thread, address, inElse.i64(inElse.e.dim(op.getBuffer())), inElse.constant(op.getRowBytes()),
                   inElse.constant(op.getUnits()), inElse.constant(op.getUnitBytes()), describe(inElse, op.getKernelAttr())});
  }

  /// The address of a StepKernel (runtime/plan/Frame.h) with these figures, one for equal kernels; null without one.
  Value describe(FrameAccess &f, KernelAttr kernel) {
    if (!kernel)
      return f.e.b.create<LLVM::ZeroOp>(f.e.loc, f.pointer());
    LLVM::GlobalOp &global = kernels_[kernel];
    if (!global) {
      std::string bytes;
      for (int64_t figure : {kernel.getWeightBytes(), kernel.getRowBytes(), kernel.getIntegerMacs(), kernel.getFloatMacs(),
                             kernel.getWanted(), kernel.getKeyBytes(), kernel.getKeyMacs(), kernel.getWindow()})
        bytes.append(reinterpret_cast<const char *>(&figure), sizeof figure); // x86 is little-endian, like this host
      bytes += kernel.getName().str() + '\0';
      OpBuilder b = OpBuilder::atBlockBegin(getOperation().getBody());
      global = b.create<LLVM::GlobalOp>(getOperation().getLoc(), LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size()),
                                        /*isConstant=*/true, LLVM::Linkage::Internal,
                                        "kernel_" + std::to_string(kernels_.size() - 1), b.getStringAttr(bytes), /*alignment=*/8);
    }
    return f.e.b.create<LLVM::AddressOfOp>(f.e.loc, global);
  }

  SmallVector<Type> types_; // of the function being lowered
  llvm::DenseMap<Attribute, LLVM::GlobalOp> kernels_;
};
} // namespace

std::unique_ptr<Pass> heddle::createLowerEnvironmentPass() { return std::make_unique<LowerEnvironment>(); }
