//===- Architectures.h - the families that Heddle knows, one file each ----------------------------------------------===//
#pragma once
#include "compiler/graph/GraphBuilder.h"

namespace heddle {

/// One family: its GGUF name and how its graph is drawn.
struct Architecture {
  const char *name;
  void (*build)(GraphBuilder &graph);
};

void buildLlama(GraphBuilder &graph);  // Llama 2/3, SmolLM2, Mistral
void buildGemma3(GraphBuilder &graph); // Gemma 3, text

/// The family of `model`. Throws CompileError, naming the architecture when it is unknown.
const Architecture &architectureOf(const ModelSource &model);

/// The graph (stage 0) of `model`. Throws CompileError.
mlir::OwningOpRef<mlir::ModuleOp> buildGraph(mlir::MLIRContext *context, const ModelSource &model);

} // namespace heddle
