//===- Ops.td - every op, by family ---------------------------------------------------------------------------------===//
#ifndef HEDDLE_OPS_TD
#define HEDDLE_OPS_TD
include "ir/dialect/Dialect.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

/// Symbols are declared in the module itself; whatever computes stands in one of its functions. Passes rely on both.
def Heddle_InFunction : NativeOpTrait<"InFunction"> { let cppNamespace = "::heddle::ir"; }
def Heddle_InModule : NativeOpTrait<"InModule"> { let cppNamespace = "::heddle::ir"; }
class Heddle_Op<string mnemonic, list<Trait> traits = []> : Op<Heddle_Dialect, mnemonic, !listconcat([Heddle_InFunction], traits)>;
class Heddle_Declaration<string mnemonic> : Op<Heddle_Dialect, mnemonic, [Heddle_InModule, Symbol]>;

/// A value over [tokens × features]: a tensor up to stage `sharded`, a buffer from `planned` on.
def Heddle_Rows : AnyTypeOf<[AnyRankedTensor, AnyMemRef]>;

include "ir/dialect/ModelOps.td"
include "ir/dialect/LinearOps.td"
include "ir/dialect/NormOps.td"
include "ir/dialect/AttentionOps.td"
include "ir/dialect/CollectiveOps.td"
include "ir/dialect/TileOps.td"
#endif
