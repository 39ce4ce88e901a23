//===- Verify.h - what the verifiers of the op families share -------------------------------------------------------===//
#pragma once
#include "ir/dialect/Dialect.h"

namespace heddle::ir {

/// ODS hands I64Attr out unsigned: what is negative in the text must not pass for huge.
inline int64_t signedOf(uint64_t value) { return static_cast<int64_t>(value); }

/// Elements of a row that a weight's format stores together.
inline int64_t blockElements(mlir::Type element) { return blockElements(formatName(element)); }

/// The one result of an op, tensor or buffer.
template <class Op> mlir::Value destination(Op op) {
  return op.getResult() ? mlir::Value(op.getResult()) : mlir::Value(op.getOut());
}

/// Exactly one of a tensor result and a buffer in outs.
template <class Op> llvm::LogicalResult verifyDestination(Op op) {
  return static_cast<bool>(op.getResult()) != static_cast<bool>(op.getOut())
             ? mlir::success()
             : op.emitOpError("needs either a tensor result or a buffer in outs");
}

/// Operands that must be whole on every rank must not carry a #heddle.shard.
inline llvm::LogicalResult verifyWhole(mlir::Operation *op, mlir::Value value, llvm::StringRef what) {
  auto type = mlir::dyn_cast_if_present<mlir::RankedTensorType>(value ? value.getType() : mlir::Type());
  if (!type || !mlir::isa_and_nonnull<ShardAttr>(type.getEncoding()))
    return mlir::success();
  return op->emitOpError() << what << " is only this rank's share (" << type.getEncoding() << "): gather it first";
}

inline llvm::LogicalResult verifyReal(mlir::Operation *op, mlir::Value rows, llvm::StringRef what) {
  return !rows || isRealRows(rows.getType()) ? mlir::success()
                                             : op->emitOpError() << what << " must be f32, not " << rows.getType();
}

} // namespace heddle::ir
