//===- Environment.h - the arguments that every planned function carries --------------------------------------------===//
//
// Planned functions find what is not theirs alone (the arena, the cache, who this rank and thread are) in arguments that are
// looked up here by name, so that passes do not count positions. The step's own order is the ABI of runtime/plan/StepAbi.h.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "ir/dialect/Dialect.h"

namespace heddle {

inline constexpr llvm::StringLiteral kArgumentName = "heddle.name";

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
