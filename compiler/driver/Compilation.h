//===- Compilation.h - one model on its way through the stages -------------------------------------------------------===//
#pragma once
#include "compiler/Compile.h"
#include "compiler/Pipeline.h"
#include "compiler/codegen/ObjectCode.h"
#include "compiler/driver/GgufModel.h"

namespace heddle {

/// Holds the module and moves it from stage to stage. Not thread-safe. Throws CompileError.
class Compilation {
public:
  explicit Compilation(const CompileOptions &options);
  Stage stage() const { return stage_; }
  /// Runs the passes up to `stage`; `seen` gets the module at each stage passed, the first one included.
  void advance(Stage stage, const std::function<void(Stage)> &seen = {});
  mlir::ModuleOp module() const { return *module_; }
  const GgufModel &model() const { return model_; }
  Target target() const { return target_; }

private:
  void readStage(const std::filesystem::path &file);
  GgufModel model_;
  Target target_;
  mlir::MLIRContext context_;
  std::string diagnostics_; // of the pass that failed
  mlir::OwningOpRef<mlir::ModuleOp> module_;
  Stage stage_ = Stage::Graph;
  bool seenFirst_ = false;
};

/// What the runtime must know of a planned module; offsets of weights are not set yet.
Manifest describe(const Compilation &compilation);

} // namespace heddle
