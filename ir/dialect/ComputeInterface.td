//===- ComputeInterface.td - what passes ask of an op that computes -------------------------------------------------===//
#ifndef HEDDLE_COMPUTE_INTERFACE_TD
#define HEDDLE_COMPUTE_INTERFACE_TD
include "mlir/IR/OpBase.td"

def Heddle_ComputeInterface : OpInterface<"ComputeOp"> {
  let cppNamespace = "::heddle::ir";
  let description = [{
    Sharding, memory planning, outlining and descriptions of kernels know ops through this interface alone. An op that computes has
    tensor results up to stage `sharded`; from `planned` on it has their buffers in `outs`, its last operands, and no results. Its loops
    are in compiler/kernels/KernelLoops.cpp, its arithmetic in ir/reference.
  }];
  let methods = [
    InterfaceMethod<"What the operands are called, in their order, as arguments of the kernel's function.",
      "::llvm::SmallVector<std::string>", "operandNames", (ins)>,
    InterfaceMethod<"What tells this kernel apart from others of the same op, for its function's name: rms_norm, attention_window512.",
      "std::string", "kernelName", (ins), [{}], [{ return $_op->getName().stripDialect().str(); }]>,
    InterfaceMethod<"How many rows result number `result` has; nothing where that follows from its operands.",
      "std::optional<::heddle::ir::RowCount>", "rowsOf", (ins "unsigned":$result), [{}], [{ return std::nullopt; }]>,
    InterfaceMethod<"How many rows an operand or result has for each row that the op works on, a token's; 0: a number of its own.",
      "int64_t", "rowsEach", (ins "::mlir::Value":$value), [{}], [{ return 1; }]>,
    InterfaceMethod<"The operand whose buffer result number `result` may take over when nothing else reads it any more: each element is read before it is written, by the same thread.",
      "::mlir::OpOperand *", "updated", (ins "unsigned":$result), [{}], [{ return nullptr; }]>,

    InterfaceMethod<"The state that the op acts on, and what it does with it.",
      "std::optional<::heddle::ir::StateAccess>", "stateAccess", (ins), [{}], [{ return std::nullopt; }]>,

    // Fusion.
    InterfaceMethod<"Whether result number `result` may be requantised as it is stored.",
      "bool", "canStoreQuantized", (ins "unsigned":$result), [{}], [{ return false; }]>,
    InterfaceMethod<"Whether the op can add a residual to its one result as it is stored, and does not yet.",
      "bool", "takesResidual", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<"Adds that one.", "void", "setResidual", (ins "::mlir::Value":$residual), [{}], [{ return; }]>,

    // Sharding: `units` has one entry a result, null for one that is whole.
    InterfaceMethod<"The unit of which this op reads `operand` as the rank's own share; null where it needs all of it.",
      "::heddle::ir::ShardAttr", "unitRead", (ins "::mlir::OpOperand &":$operand), [{}], [{ return {}; }]>,
    InterfaceMethod<"How result number `result` is cut, given the unit that its readers would like; null: whole on every rank.",
      "::heddle::ir::ShardAttr", "cut", (ins "unsigned":$result, "::heddle::ir::ShardAttr":$wish), [{}], [{ return {}; }]>,
    InterfaceMethod<"The shares that an op needs which is cut so: each becomes two operands, [begin, end).",
      "::llvm::SmallVector<::heddle::ir::ShareOf>", "shares", (ins "::llvm::ArrayRef<::heddle::ir::ShardAttr>":$units), [{}], [{ return {}; }]>,
    InterfaceMethod<"Takes those operands.", "void", "setShares", (ins "::mlir::ValueRange":$shares), [{}], [{ return; }]>,
    InterfaceMethod<"The weights whose rows are cut as a result is: (weight, number of the result).",
      "::llvm::SmallVector<std::pair<::mlir::Value, unsigned>>", "rowWeights", (ins), [{}], [{ return {}; }]>,
    InterfaceMethod<"Whether ranks hold all rows of those weights, because something else reads them whole.",
      "void", "setWholeWeights", (ins "bool":$whole), [{}], [{ return; }]>,

    InterfaceMethod<"Writes down, in the buffer form of an op, what its tensors' types said and buffers' do not.",
      "void", "keepOf", (ins "::mlir::Operation *":$tensorForm), [{}], [{ return; }]>,
    InterfaceMethod<"What profiles say of it, but for its name.", "void", "addCost", (ins "::heddle::ir::KernelCost &":$cost), [{}], [{ return; }]>
  ];
}
#endif
