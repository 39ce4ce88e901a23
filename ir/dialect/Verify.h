//===- Verify.h - what the verifiers of the op families share -------------------------------------------------------===//
#pragma once
#include "ir/dialect/Dialect.h"

namespace heddle::ir {

/// ODS hands I64Attr out unsigned: what is negative in the text must not pass for huge.
inline int64_t signedOf(uint64_t value) { return static_cast<int64_t>(value); }

/// Features of a row: the last dimension of a tensor. Buffers of q8 blocks [T × blocks × 40] count 32 features a block.
inline int64_t lastDim(mlir::Type type) {
  auto shaped = mlir::cast<mlir::ShapedType>(type);
  if (mlir::isa<mlir::MemRefType>(type) && shaped.getRank() == 3)
    return shaped.getDimSize(1) * 32;
  return shaped.getRank() ? shaped.getDimSize(shaped.getRank() - 1) : 1;
}

/// Elements of a row that a weight's format stores together.
inline int64_t blockElements(mlir::Type element) { return blockElements(formatName(element)); }

/// Activations: a tensor [tokens × features], whose q8 features are whole blocks of 32, or a buffer that the planner makes of
/// one: [tokens × features] f32 in whole vectors of 16, or [tokens × blocks × 40] i8.
inline llvm::LogicalResult verifyRows(mlir::Operation *op, mlir::Value value, llvm::StringRef what) {
  if (!value)
    return mlir::success();
  auto shaped = mlir::cast<mlir::ShapedType>(value.getType());
  bool tensor = mlir::isa<mlir::RankedTensorType>(shaped), f32 = shaped.getElementType().isF32();
  int64_t rank = shaped.getRank(), features = rank >= 2 ? shaped.getDimSize(1) : 0;
  if (tensor && rank == 2 && features > 0 && (f32 || isQ8(shaped))) {
    if (f32 || features % 32 == 0)
      return mlir::success();
    return op->emitOpError() << what << " of element type !heddle.q8 needs features that are a multiple of 32, not " << features;
  }
  auto buffer = mlir::dyn_cast<mlir::MemRefType>(shaped);
  if (buffer && buffer.getLayout().isIdentity() && features > 0) {
    if (rank == 2 && f32 && features % 16 == 0)
      return mlir::success();
    if (rank == 3 && shaped.getElementType().isInteger(8) && shaped.getDimSize(2) == 40)
      return mlir::success();
  }
  return op->emitOpError() << what << " must be "
                           << (tensor ? "a tensor [tokens × features] of f32 or !heddle.q8"
                                      : "a buffer [tokens × features] of f32 (a multiple of 16) or [tokens × blocks × 40] of i8")
                           << ", not " << shaped;
}
inline bool isQ8Buffer(mlir::Type type) {
  return mlir::isa<mlir::MemRefType>(type) && mlir::cast<mlir::MemRefType>(type).getRank() == 3;
}

/// Buffers of rank 1: what the step is given besides rows.
inline llvm::LogicalResult verifyList(mlir::Operation *op, mlir::Value value, llvm::StringRef what, unsigned bits) {
  if (!value)
    return mlir::success();
  auto type = mlir::dyn_cast<mlir::MemRefType>(value.getType());
  if (!type)
    return mlir::success();
  bool element = bits == 32  ? type.getElementType().isInteger(32)
                 : bits == 8 ? type.getElementType().isInteger(8)
                             : type.getElementType().isF32();
  if (type.getRank() == 1 && element && type.getLayout().isIdentity())
    return mlir::success();
  return op->emitOpError() << what << " must be a buffer of rank 1, not " << type;
}

/// A packed weight: row groups [groups × bytes] of a known format.
inline llvm::LogicalResult verifyPacked(mlir::Operation *op, mlir::Value value, llvm::StringRef format) {
  if (!isFormatName(format))
    return op->emitOpError() << "'" << format << "' is no weight format";
  auto type = mlir::dyn_cast<mlir::MemRefType>(value.getType());
  if (type && type.getRank() == 2 && type.getElementType().isInteger(8) && !type.isDynamicDim(1) && type.getLayout().isIdentity())
    return mlir::success();
  return op->emitOpError() << "a packed weight must be a buffer [groups × bytes] of i8, not " << value.getType();
}

/// A tensor result up to stage sharded, a buffer `outs` from planned on: exactly one of them.
inline llvm::LogicalResult verifyDestination(mlir::Operation *op, mlir::Value result, mlir::Value out) {
  if (static_cast<bool>(result) != static_cast<bool>(out))
    return mlir::success();
  return op->emitOpError("needs either a tensor result or a buffer in outs");
}

/// Operands that must be whole on every rank must not carry a #heddle.shard.
inline llvm::LogicalResult verifyWhole(mlir::Operation *op, mlir::Value value, llvm::StringRef what) {
  auto type = mlir::dyn_cast_if_present<mlir::RankedTensorType>(value ? value.getType() : mlir::Type());
  if (!type || !mlir::isa_and_nonnull<ShardAttr>(type.getEncoding()))
    return mlir::success();
  return op->emitOpError() << what << " is only this rank's share (" << type.getEncoding() << "): gather it first";
}

} // namespace heddle::ir
