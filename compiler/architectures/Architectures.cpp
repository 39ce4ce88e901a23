//===- Architectures.cpp - from a family's name to its graph --------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"

using namespace heddle;

static constexpr Architecture architectures[] = {{"llama", buildLlama}, {"gemma3", buildGemma3}};

const Architecture &heddle::architectureOf(const ModelSource &model) {
  std::string known;
  for (const Architecture &architecture : architectures) {
    if (model.architecture() == architecture.name)
      return architecture;
    known += known.empty() ? architecture.name : std::string(", ") + architecture.name;
  }
  throw CompileError(model.name() + ": architecture '" + model.architecture() + "' is not supported (known: " + known + ")");
}

mlir::OwningOpRef<mlir::ModuleOp> heddle::buildGraph(mlir::MLIRContext *context, const ModelSource &model) {
  GraphBuilder graph(context, model);
  architectureOf(model).build(graph);
  return graph.take();
}
