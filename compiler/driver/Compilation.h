//===- Compilation.h - one model on its way through the stages -------------------------------------------------------===//
#pragma once
#include "compiler/Compile.h"
#include "compiler/Pipeline.h"
#include "compiler/codegen/ObjectCode.h"
#include "compiler/graph/ModelSource.h"
#include "compiler/provenance/StageOrigins.h"
#include "runtime/plan/Plan.h"
#include <map>

namespace heddle {

/// Holds a module and moves it from stage to stage. Not thread-safe. Throws CompileError.
class Compilation {
public:
  /// What `options` say of target and tiling; `name` begins errors.
  Compilation(std::string name, const CompileOptions &options);
  /// Begins with the graph of a model, its keys and values cached as `kvType`, or with the saved text of a stage, which says
  /// that.
  void begin(const ModelSource &model, KvType kvType);
  void begin(const std::filesystem::path &stageFile);
  Stage stage() const { return stage_; }
  /// Runs the passes up to `stage`; `seen` gets each stage passed, the first one included.
  void advance(Stage stage, const std::function<void(Stage)> &seen = {});
  /// The stage's text, whose lines origins() knows from then on. Debug info needs each stage printed on the way.
  std::string print();
  const StageOrigins &origins() const { return origins_; }
  mlir::ModuleOp module() const { return *module_; }
  Target target() const { return target_; }

private:
  void verifyModule();
  std::string name_;
  Target target_;
  LoopShape shape_;
  bool debugInfo_;
  mlir::MLIRContext context_;
  std::string diagnostics_; // of the pass that failed
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  Stage stage_ = Stage::Graph;
  StageOrigins origins_;
  bool seenFirst_ = false;
};

/// What the runtime must know of a planned module; offsets of weights are not set yet.
Manifest describe(const Compilation &compilation, const ModelSource &model);
/// The part of it that the module itself says: arena, weights, RoPE tables, KV cache.
Manifest describe(mlir::ModuleOp module);
/// The expressions of the module's weights by name; empty for a tensor of the checkpoint as it is.
std::map<std::string, std::string> weightExpressions(mlir::ModuleOp module);

} // namespace heddle
