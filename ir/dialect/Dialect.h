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
/// The name of a weight's format, from its element type: of the `!heddle.quant`, or of a float type that is a format itself.
/// Empty for what is no weight's.
llvm::StringRef formatName(mlir::Type elementType);
/// The other way round, of a name that isFormatName.
mlir::Type weightElement(mlir::MLIRContext *context, llvm::StringRef format);
/// True for the name of a format (runtime/quant/formats).
bool isFormatName(llvm::StringRef name);
/// Elements of a row that a format stores together; 1 for floats and for what is no format.
int64_t blockElements(llvm::StringRef format);
/// True for an element type whose products take q8 activations.
inline bool isQuantized(mlir::Type elementType) { return mlir::isa<QuantType>(elementType); }
/// True when a value's elements are q8 activations (stages fused and sharded).
inline bool isQ8(mlir::Type type) { return mlir::isa<Q8Type>(mlir::getElementTypeOrSelf(type)); }
} // namespace heddle::ir

#define GET_OP_CLASSES
#include "ir/dialect/Ops.h.inc"
