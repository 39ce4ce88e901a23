//===- Architectures.cpp - from a family's name to its graph --------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include <algorithm>

namespace heddle {

const std::vector<const Family *> &allFamilies() {
#define HEDDLE_FAMILY_FILE(name) &HEDDLE_FAMILY(name)(),
  static const std::vector<const Family *> all{
#include "Families.inc"
  };
#undef HEDDLE_FAMILY_FILE
  return all;
}

const Family &familyOf(const Checkpoint &checkpoint) {
  const bool gguf = checkpoint.kind() == Checkpoint::Kind::Gguf;
  const std::string name = checkpoint.architecture();
  std::string known;
  auto matches = [&](std::string_view candidate) {
    known += (known.empty() ? "" : ", ") + std::string(candidate);
    return candidate == name;
  };
  for (const Family *family : allFamilies()) {
    if (gguf && matches(family->name))
      return *family;
    for (const ModelType &type : family->modelTypes)
      if (!gguf && matches(type.name))
        return *family;
  }
  if (gguf)
    throw CompileError(checkpoint.name() + ": architecture " + quotedForError(name) + " is not supported (known: " + known + ")");
  throw CompileError(checkpoint.shownKey("model_type") + " " + quotedForError(name) + " is not supported (known: " + known + ")");
}

mlir::OwningOpRef<mlir::ModuleOp> buildGraph(mlir::MLIRContext *context, const ModelSource &model) {
  GraphBuilder graph(context, model);
  model.family().build(graph);
  return graph.take();
}

} // namespace heddle
