//===- Pipeline.h - the seven stages of compilation -----------------------------------------------------------------===//
#pragma once
#include "compiler/Passes.h"
#include "mlir/Pass/PassManager.h"
#include <array>

namespace heddle {

enum class Stage { Graph, Fused, Sharded, Planned, Kernels, Loops, Llvm };
inline constexpr std::array<const char *, 7> kStageNames{"graph", "fused", "sharded", "planned", "kernels", "loops", "llvm"};
std::optional<Stage> stageByName(llvm::StringRef name);

/// The passes that lead from the stage before to `stage` (none for graph). `shape` chooses loops and register
/// tiles, `target` instructions; their targets differ only where a test lowers one target's tiles for another.
void addStagePasses(mlir::OpPassManager &passes, Stage stage, LoopShape shape, Target target);

/// Every dialect that some stage holds.
void registerAllStages(mlir::DialectRegistry &registry);
/// Every pass here by its name, and every stage as a pipeline `heddle-to-<stage>`.
void registerHeddlePasses();

/// The name of a stage's file in a plan's folder `ir`, as "0-graph.mlir".
std::string stageFileName(Stage stage);

/// The lines of a stage's text, from 1, that ops are printed on.
using StageLines = llvm::DenseMap<mlir::Operation *, unsigned>;
/// The text of a stage as it is shown and saved: arguments named by their role, and a first line that says the stage.
std::string printStage(mlir::ModuleOp module, Stage stage, StageLines *lines = nullptr);

} // namespace heddle
