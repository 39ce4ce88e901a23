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
llvm::LogicalResult verifyOneForm(mlir::Operation *op);
template <class Op> struct InFunction : mlir::OpTrait::TraitBase<Op, InFunction> {
  static llvm::LogicalResult verifyTrait(mlir::Operation *op) { return verifyInFunction(op); }
};
template <class Op> struct InModule : mlir::OpTrait::TraitBase<Op, InModule> {
  static llvm::LogicalResult verifyTrait(mlir::Operation *op) { return verifyInModule(op); }
};
template <class Op> struct OneForm : mlir::OpTrait::TraitBase<Op, OneForm> {
  static llvm::LogicalResult verifyTrait(mlir::Operation *op) { return verifyOneForm(op); }
};
} // namespace heddle::ir

#include "ir/dialect/Dialect.h.inc"
#include "ir/dialect/Enums.h.inc"

#define GET_TYPEDEF_CLASSES
#include "ir/dialect/Types.h.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/dialect/Attributes.h.inc"

namespace heddle::ir {
/// What the keys and values of a state are; the declaration of one without layers has 1.
struct KvGeometry {
  int64_t layers, heads, kvHeads, headDim;
  CacheType type = CacheType::F16;
};

/// The largest `ahead` of a tile_product, for edited stages: far more than is under way from memory.
constexpr int64_t kMostAheadBytes = 1 << 20;

// ---- what values are (Dialect.td names these in its constraints) ----
bool isRows(mlir::Type type);
bool isRealRows(mlir::Type type);
bool isQ8Rows(mlir::Type type);
bool isMatrix(mlir::Type type);
bool isExperts(mlir::Type type);
bool isChoices(mlir::Type type);
bool isVector(mlir::Type type);
bool isIndices(mlir::Type type);
bool isByteList(mlir::Type type);
bool isFloatList(mlir::Type type);
/// vector<16xf32>: one lane per output row.
bool isLanes(mlir::Type type);
/// An f32 attribute within [low, high]; never a NaN.
bool isWithin(mlir::Attribute f32, double low, double high);

/// The name of a weight's format, from its element type: of the `!heddle.quant` or `!heddle.packed`, or of a float type that is a
/// format itself. Empty for what is no weight's.
llvm::StringRef formatName(mlir::Type elementType);
/// The other way round, of a name that isFormatName.
mlir::Type weightElement(mlir::MLIRContext *context, llvm::StringRef format);
/// True for the name of a format (runtime/quant/formats).
bool isFormatName(llvm::StringRef name);
/// Elements of a row that a format stores together; 1 for floats and for what is no format.
int64_t blockElements(llvm::StringRef format);
/// True for an element type whose products take q8 activations.
bool isQuantized(mlir::Type elementType);
/// True when a value's elements are q8 activations.
inline bool isQ8(mlir::Type type) { return mlir::isa<Q8Type>(mlir::getElementTypeOrSelf(type)); }
/// Features of a row, or elements of a vector: the last dimension.
inline int64_t lastDim(mlir::Type type) {
  auto shaped = mlir::cast<mlir::ShapedType>(type);
  return shaped.getRank() ? shaped.getDimSize(shaped.getRank() - 1) : 1;
}

// ---- what ComputeOp (ComputeInterface.td) talks about ----
/// A share that an op needs: of so many units or, with `group` > 0, of the KV heads that a share of `units` query heads reads.
struct ShareOf {
  int64_t units = 1, group = 0;
};
/// What a kernel reads and computes in a call, for profiles.
struct KernelCost {
  llvm::SmallVector<mlir::Value> role;    // operands whose names in the graph tell what the kernel is for
  llvm::SmallVector<mlir::Value> weights; // matrices, all of whose elements meet every row
  int64_t experts = 0, chosen = 0;        // of how many stacked matrices a row meets so many; 0: there are none
  mlir::FlatSymbolRefAttr keys;           // the paged state whose keys and values are read
  int64_t keyMacs = 0, window = 0;        // multiply-adds for each visible key; the most keys that a row sees, 0: no limit
};

/// What an op, or an entry with all that it calls, does with a state.
struct StateAccess {
  mlir::FlatSymbolRefAttr state;
  Access access;
};

// ---- ops with many operands are made from these, by name ----
struct LinearSpec {
  mlir::TypeRange results;
  mlir::Value input;
  mlir::ValueRange weights, biases = {};
  mlir::Value residual = {};
  mlir::ValueRange shares = {};
  std::optional<Activation> gate = {}, up = {}, activation = {};
  std::optional<float> scale = {};
  mlir::Value experts = {}; // with stacked weights: which of them each token chose
  bool byChoice = false;    // the input has a row for each choice
};
struct AttentionSpec {
  mlir::TypeRange results;
  KeySource source = KeySource::Batch;
  mlir::Value query, keys = {}, values = {}, layer = {}, queryNorm = {}, bias = {}, sinks = {};
  mlir::FlatSymbolRefAttr state = {};
  int64_t heads = 0, kvHeads = 0, headDim = 0, window = 0; // window 0: none
  float scale = 1;
  Mask mask = Mask::Causal;
  std::optional<float> softCap = {}, normEps = {};
  mlir::FlatSymbolRefAttr rope = {};
  std::optional<RopeStyle> style = {};
  mlir::DenseI64ArrayAttr probeHeads = {};
};
struct StoreKvSpec {
  mlir::Value keys, values, layer, keyNorm = {};
  mlir::FlatSymbolRefAttr state;
  int64_t kvHeads = 0, headDim = 0;
  std::optional<float> normEps = {};
  mlir::FlatSymbolRefAttr rope = {};
  std::optional<RopeStyle> style = {};
};
} // namespace heddle::ir

#include "ir/dialect/ComputeInterface.h.inc"

#define GET_OP_CLASSES
#include "ir/dialect/Ops.h.inc"

namespace heddle::ir {
/// True for a compute op that stands on buffers: a kernel of a planned function.
inline bool isOnBuffers(mlir::Operation *op) {
  return llvm::any_of(op->getOperandTypes(), [](mlir::Type type) { return mlir::isa<mlir::MemRefType>(type); });
}

/// What a function does with the states of its module, itself or by what it calls: each state once, in the order of their use.
/// Stages up to `loops` can be asked.
llvm::SmallVector<StateAccess> stateAccesses(mlir::func::FuncOp function);
} // namespace heddle::ir
