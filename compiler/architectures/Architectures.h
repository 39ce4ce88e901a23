//===- Architectures.h - the families that Heddle knows, one file each ----------------------------------------------===//
//
// families/NAME.cpp defines `const Family &HEDDLE_FAMILY(NAME)()`; the build finds the files, so a new one needs no entry
// anywhere.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/graph/GraphBuilder.h"

#define HEDDLE_FAMILY(name) heddle::families::family##name

namespace heddle {

namespace families {
#define HEDDLE_FAMILY_FILE(name) const Family &family##name();
#include "Families.inc" // a line for each file of families/
#undef HEDDLE_FAMILY_FILE
} // namespace families

/// The family of a checkpoint. Throws CompileError, naming the architecture when it is unknown.
const Family &familyOf(const Checkpoint &checkpoint);

/// All of them.
const std::vector<const Family *> &allFamilies();

/// The graph (stage 0) of `model`. Throws CompileError.
mlir::OwningOpRef<mlir::ModuleOp> buildGraph(mlir::MLIRContext *context, const ModelSource &model);

} // namespace heddle
