//===- Provenance.h - where an op came from -------------------------------------------------------------------------===//
//
// An op's location says it, through all passes: names (NameLoc) of a role, each around a line of the stage that compilation began
// with (FileLineColLoc), fused (FusedLoc) where one op does the work of several.
//
//   loc(fused["attn_q@0-29"("0-graph.mlir":68:0), "attn_k@0-29"("0-graph.mlir":70:0)])
//
// A role is what a family calls the op's weight (attn_q; the weight itself is attn_q.weight). An op without one is named after
// its kind, and after the weight that its last operand was made with: attn_q.rope, ffn_gate.activate, attn_output.add. After @
// stand the layers that call the op's block.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/Pipeline.h"

namespace heddle {

struct Origin {
  llvm::StringRef role;
  llvm::StringRef layers; // "3", "0-29" or "0-4,6-10"; empty where no layer calls it
  mlir::FileLineColLoc line;
};

/// The places that `location` names, each once.
llvm::SmallVector<Origin> originsOf(mlir::Location location);

/// Their roles as a person reads them, "attn_q+attn_k": what was done to a role's result (attn_q.rope) is left out beside it.
std::string rolesOf(mlir::Location location);

/// Gives each op of a new graph the line of the stage's text that it is printed on.
void locateInText(mlir::ModuleOp module, Stage stage);

/// Names the location of each op that has a line but no role, and of each block argument. What a later stage still says of roles
/// (its weights' names, the kernels named after calls) serves for a stage that was saved and read back.
void nameOrigins(mlir::ModuleOp module);

} // namespace heddle
