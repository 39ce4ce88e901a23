//===- Verify.h - what the verifiers of the op families share -------------------------------------------------------===//
#pragma once
#include "ir/dialect/Dialect.h"

namespace heddle::ir {

/// Features of a row: the last dimension of a tensor. Buffers of q8 blocks [T × blocks × 40] count 32 features a block.
inline int64_t lastDim(mlir::Type type) {
  auto shaped = mlir::cast<mlir::ShapedType>(type);
  if (mlir::isa<mlir::MemRefType>(type) && shaped.getRank() == 3) return shaped.getDimSize(1) * 32;
  return shaped.getRank() ? shaped.getDimSize(shaped.getRank() - 1) : 1;
}

/// Elements of a row that a weight's format stores together.
inline int64_t blockElements(mlir::Type element) {
  auto quant = mlir::dyn_cast<QuantType>(element);
  return !quant ? 1 : quant.getFormat().ends_with("_k") ? 256 : 32;
}

/// A tensor result up to stage sharded, a buffer `outs` from planned on: exactly one of them.
inline llvm::LogicalResult verifyDestination(mlir::Operation *op, mlir::Value result, mlir::Value out) {
  if (static_cast<bool>(result) != static_cast<bool>(out)) return mlir::success();
  return op->emitOpError("needs either a tensor result or a buffer in outs");
}

/// Operands that must be whole on every rank must not carry a #heddle.shard.
inline llvm::LogicalResult verifyWhole(mlir::Operation *op, mlir::Value value, llvm::StringRef what) {
  auto type = mlir::dyn_cast_if_present<mlir::RankedTensorType>(value ? value.getType() : mlir::Type());
  if (!type || !mlir::isa_and_nonnull<ShardAttr>(type.getEncoding())) return mlir::success();
  return op->emitOpError() << what << " is only this rank's share (" << type.getEncoding() << "): gather it first";
}

} // namespace heddle::ir
