//===- Ops.td - every op, by family ---------------------------------------------------------------------------------===//
#ifndef HEDDLE_OPS_TD
#define HEDDLE_OPS_TD
include "ir/dialect/Dialect.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Heddle_Op<string mnemonic, list<Trait> traits = []> : Op<Heddle_Dialect, mnemonic, traits>;

/// A value over [tokens × features]: a tensor up to stage `sharded`, a buffer from `planned` on.
def Heddle_Rows : AnyTypeOf<[AnyRankedTensor, AnyMemRef]>;

include "ir/dialect/ModelOps.td"
include "ir/dialect/LinearOps.td"
include "ir/dialect/NormOps.td"
include "ir/dialect/AttentionOps.td"
include "ir/dialect/CollectiveOps.td"
include "ir/dialect/TileOps.td"
#endif
