//===- KernelLoops.h - each op's loops over independent items -------------------------------------------------------===//
#pragma once
#include "compiler/Passes.h"
#include "compiler/kernels/Emit.h"

namespace heddle {

/// How an op on buffers that stands in a function of its own becomes loops: `emit` writes this thread's part before the op, or
/// says in the op's own words what cannot be lowered. Verifiers have seen the op.
struct KernelLoops {
  llvm::StringRef op; // its name, as heddle.rms_norm
  llvm::LogicalResult (*emit)(mlir::Operation *op, Emit &e, const LoopShape &shape);
};

/// Null for an op without loops.
const KernelLoops *kernelLoopsOf(mlir::Operation *op);

// One a family, in the file of its name.
llvm::LogicalResult emitLinear(ir::LinearOp op, Emit &e, const LoopShape &shape);
llvm::LogicalResult emitChooseExperts(ir::ChooseExpertsOp op, Emit &e, const LoopShape &shape);
llvm::LogicalResult emitSumExperts(ir::SumExpertsOp op, Emit &e, const LoopShape &shape);
llvm::LogicalResult emitMeanRows(ir::MeanRowsOp op, Emit &e, const LoopShape &shape);
llvm::LogicalResult emitNormalize(ir::NormalizeOp op, Emit &e, const LoopShape &shape);
llvm::LogicalResult emitAttention(ir::AttentionOp op, Emit &e, const LoopShape &shape);
llvm::LogicalResult emitStoreKv(ir::StoreKvOp op, Emit &e, const LoopShape &shape);

} // namespace heddle
