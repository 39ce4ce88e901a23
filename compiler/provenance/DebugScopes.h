//===- DebugScopes.h - locations as debuggers and profilers read them -----------------------------------------------===//
//
// What gdb and perf show of an instruction is the text of stage loops that it came from. Each function is a subprogram; inside
// it, each role is one too, inlined at the line of the graph that it came from:
//
//   #0  attn_q+attn_k+attn_v () at ir/5-loops.mlir:1234
//   #1  linear_q4_1_960x576 () at ir/0-graph.mlir:68
//
// File names are relative to the plan, which may be moved.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/provenance/StageOrigins.h"

namespace heddle {

/// Adds to each op's location the line of stage loops that it is printed on.
void rememberLines(mlir::ModuleOp module, const StageLines &loops);

/// On stage llvm: makes debug info of the locations; `origins` knows the lines of the stage that compilation began with.
void addDebugScopes(mlir::ModuleOp module, const StageOrigins &origins);

} // namespace heddle
