//===- Environment.h - the arguments that every planned function carries --------------------------------------------===//
//
// Planned functions find what is not theirs alone (the arena, the cache, who this rank and thread are) in arguments that are
// looked up here by name, so that passes do not count positions. The step's own order is the ABI of runtime/plan/StepAbi.h.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "ir/dialect/Dialect.h"

namespace heddle {

inline constexpr llvm::StringLiteral kArgumentName = "heddle.name";

/// The arguments of a planned `step`, in the order of runtime/plan/StepAbi.h.
inline llvm::SmallVector<std::pair<llvm::StringRef, mlir::Type>> stepArguments(mlir::MLIRContext *context) {
  mlir::Builder b(context);
  auto list = [&](mlir::Type element) { return mlir::MemRefType::get({mlir::ShapedType::kDynamic}, element); };
  mlir::Type index = b.getIndexType(), i8s = list(b.getI8Type()), i32s = list(b.getI32Type());
  mlir::Type i64s = list(b.getI64Type()), f32s = list(b.getF32Type());
  return {{"ids", i32s},          {"positions", i32s},      {"sequences", i32s},
          {"page_table", i32s},   {"rows", i32s},           {"logits", i8s},
          {"arena", i8s},         {"partials", f32s},       {"kv", i8s},
          {"weights", i8s},       {"weight_offsets", i64s}, {"rope", f32s},
          {"rope_offsets", i64s}, {"page_width", index},    {"rank", index},
          {"ranks", index},       {"thread", index},        {"threads", index},
          {"context", index}};
}

/// Says so where `step` is not what the runtime will call: an edited stage may have moved, renamed or retyped its arguments, or
/// lost the C interface.
inline mlir::LogicalResult requireStepAbi(mlir::func::FuncOp step) {
  auto wanted = stepArguments(step.getContext());
  if (step.getNumArguments() != wanted.size() || step.getNumResults())
    return step.emitError("function step must have ") << wanted.size() << " arguments and no results (runtime/plan/StepAbi.h)";
  if (!step->hasAttr("llvm.emit_c_interface"))
    return step.emitError("function step has lost its attribute llvm.emit_c_interface: the runtime calls it by that");
  for (auto [i, argument] : llvm::enumerate(wanted)) {
    auto name = step.getArgAttrOfType<mlir::StringAttr>(i, kArgumentName);
    if (!name || name.getValue() != argument.first || step.getArgument(i).getType() != argument.second)
      return step.emitError("argument ") << i << " of step must be '" << argument.first << "' of type " << argument.second
                                         << " (runtime/plan/StepAbi.h)";
  }
  return mlir::success();
}

/// Says so where `function` lacks one of the arguments that passes will look up: an edited stage may.
inline mlir::LogicalResult requireArguments(mlir::func::FuncOp function,
                                            llvm::ArrayRef<std::pair<llvm::StringRef, mlir::Type>> needed) {
  for (auto [name, type] : needed) {
    mlir::Value found;
    for (unsigned i = 0, n = function.getNumArguments(); i < n && !function.isExternal(); ++i)
      if (auto given = function.getArgAttrOfType<mlir::StringAttr>(i, kArgumentName); given && given.getValue() == name)
        if (!found)
          found = function.getArgument(i);
    if (!found)
      return function.emitError("function ")
             << function.getName() << " has no argument '" << name << "' (attribute " << kArgumentName << ")";
    if (found.getType() != type)
      return function.emitError("argument '")
             << name << "' of " << function.getName() << " must be " << type << ", not " << found.getType();
  }
  return mlir::success();
}

/// The argument of `op`'s function with this name, which requireArguments has seen.
inline mlir::Value argument(mlir::Operation *op, llvm::StringRef name) {
  auto function =
      mlir::isa<mlir::func::FuncOp>(op) ? mlir::cast<mlir::func::FuncOp>(op) : op->getParentOfType<mlir::func::FuncOp>();
  for (unsigned i = 0, n = function.getNumArguments(); i < n; ++i)
    if (auto given = function.getArgAttrOfType<mlir::StringAttr>(i, kArgumentName); given && given.getValue() == name)
      return function.getArgument(i);
  llvm::report_fatal_error(llvm::Twine("planned function ") + function.getName() + " has no argument '" + name + "'");
}

/// Whether an op on buffers is a kernel: loops over tiles from stage `kernels` on.
inline bool isKernel(mlir::Operation *op) {
  return mlir::isa<ir::LinearOp, ir::RmsNormOp, ir::EmbedOp, ir::SelectRowsOp, ir::QuantizeOp, ir::StoreKvOp, ir::AttentionOp>(
      op);
}

/// Says so where a kernel's operands or results are not buffers yet: an edited stage may have skipped `planned`.
inline mlir::LogicalResult requireBuffers(mlir::Operation *op) {
  auto tensor = [](mlir::Type type) { return mlir::isa<mlir::RankedTensorType>(type); };
  if (llvm::any_of(op->getOperandTypes(), tensor) || llvm::any_of(op->getResultTypes(), tensor))
    return op->emitOpError("stands on tensors: stage planned has buffers");
  return mlir::success();
}

/// What a kernel takes from its function's arguments besides its operands.
inline llvm::SmallVector<std::pair<llvm::StringRef, mlir::Type>> kernelEnvironment(mlir::Operation *op) {
  mlir::Builder b(op->getContext());
  auto list = [&](mlir::Type element) { return mlir::MemRefType::get({mlir::ShapedType::kDynamic}, element); };
  mlir::Type index = b.getIndexType();
  llvm::SmallVector<std::pair<llvm::StringRef, mlir::Type>> names{{"thread", index}, {"threads", index}};
  auto store = mlir::dyn_cast<ir::StoreKvOp>(op);
  auto attention = mlir::dyn_cast<ir::AttentionOp>(op);
  if (attention && attention.getSource() != ir::KeySource::Paged) // refused by TileKernels, in its own words
    return names;
  if (store || attention)
    names.append({{"page_width", index}, {"kv", list(b.getI8Type())}});
  if (store ? store.getRope() : attention ? attention.getRope() : std::nullopt)
    names.append({{"rope", list(b.getF32Type())}, {"rope_offsets", list(b.getI64Type())}});
  if (attention)
    names.append({{"partials", list(b.getF32Type())}, {"context", index}});
  return names;
}

/// Position of a declared symbol (verifiers have looked it up) among its kind: the index into weight or RoPE offsets.
template <class SymbolOp> int64_t symbolIndex(mlir::ModuleOp module, llvm::StringRef name) {
  int64_t index = 0;
  for (SymbolOp op : module.getOps<SymbolOp>()) {
    if (op.getSymName() == name)
      return index;
    ++index;
  }
  llvm::report_fatal_error("symbol is not declared: " + name);
}

} // namespace heddle
