//===- Ops.td - every op, by family ---------------------------------------------------------------------------------===//
#ifndef HEDDLE_OPS_TD
#define HEDDLE_OPS_TD
include "ir/dialect/Dialect.td"
include "ir/dialect/ComputeInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

/// Symbols are declared in the module itself; whatever computes stands in one of its functions. Passes rely on both.
def Heddle_InFunction : NativeOpTrait<"InFunction"> { let cppNamespace = "::heddle::ir"; }
def Heddle_InModule : NativeOpTrait<"InModule"> { let cppNamespace = "::heddle::ir"; }
/// Tensor results, or their buffers in `outs`: never both, and operands likewise.
def Heddle_OneForm : NativeOpTrait<"OneForm"> { let cppNamespace = "::heddle::ir"; }
class Heddle_Op<string mnemonic, list<Trait> traits = []> : Op<Heddle_Dialect, mnemonic, !listconcat([Heddle_InFunction], traits)>;
class Heddle_Declaration<string mnemonic, list<Trait> traits = []>
    : Op<Heddle_Dialect, mnemonic, !listconcat([Heddle_InModule, Symbol], traits)>;
/// An op that computes. `methods` names what it answers besides its operands' names.
class Heddle_Compute<string mnemonic, list<string> methods = [], list<Trait> traits = []>
    : Heddle_Op<mnemonic, !listconcat([Heddle_OneForm, DeclareOpInterfaceMethods<Heddle_ComputeInterface, methods>], traits)>;

include "ir/dialect/EnvironmentOps.td"
include "ir/dialect/ModelOps.td"
include "ir/dialect/LinearOps.td"
include "ir/dialect/NormOps.td"
include "ir/dialect/AttentionOps.td"
include "ir/dialect/RecurrentOps.td"
include "ir/dialect/PoolingOps.td"
include "ir/dialect/CollectiveOps.td"
include "ir/dialect/TileOps.td"
#endif
