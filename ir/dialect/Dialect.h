//===- Dialect.h - the heddle dialect -------------------------------------------------------------------------------===//
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace heddle::ir {
llvm::LogicalResult verifyInFunction(mlir::Operation *op);
llvm::LogicalResult verifyInModule(mlir::Operation *op);
template <class Op> struct InFunction : mlir::OpTrait::TraitBase<Op, InFunction> {
  static llvm::LogicalResult verifyTrait(mlir::Operation *op) { return verifyInFunction(op); }
};
template <class Op> struct InModule : mlir::OpTrait::TraitBase<Op, InModule> {
  static llvm::LogicalResult verifyTrait(mlir::Operation *op) { return verifyInModule(op); }
};
} // namespace heddle::ir

#include "ir/dialect/Dialect.h.inc"
#include "ir/dialect/Enums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "ir/dialect/Types.h.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/dialect/Attributes.h.inc"

namespace heddle::ir {
/// The largest `ahead` of a tile_product, for edited stages: far more than is under way from memory.
constexpr int64_t kMostAheadBytes = 1 << 20;
/// vector<16xf32>: one lane per output row.
bool isLanes(mlir::Type type);
/// The name of a weight's format, from its element type: "f32", "f16", "bf16" or a quantised one.
llvm::StringRef formatName(mlir::Type elementType);
/// True for a name that formatName gives: the ten formats of quantised types and floats.
bool isFormatName(llvm::StringRef name);
/// True for an element type whose products take q8 activations.
inline bool isQuantized(mlir::Type elementType) { return mlir::isa<QuantType>(elementType); }
/// True when a value's elements are q8 activations (stages fused and sharded).
inline bool isQ8(mlir::Type type) { return mlir::isa<Q8Type>(mlir::getElementTypeOrSelf(type)); }
} // namespace heddle::ir

#define GET_OP_CLASSES
#include "ir/dialect/Ops.h.inc"
