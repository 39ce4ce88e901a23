//===- StagePrinter.cpp - a stage as people read it -----------------------------------------------------------------===//
//
// MLIR prints function arguments as %arg7. Here they carry the names that the graph gave them (%attn_q, %page_table): attribute
// `heddle.name` of each argument. Numbers below a function's argument count are its arguments; loops' own go on from there.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Pipeline.h"
#include "mlir/IR/AsmState.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace heddle;

std::string heddle::stageFileName(Stage stage) {
  return std::to_string(static_cast<int>(stage)) + "-" + kStageNames[static_cast<size_t>(stage)] +
         (stage == Stage::Llvm ? ".ll" : ".mlir");
}

std::string heddle::printStage(ModuleOp module, Stage stage, StageLines *lines) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  AsmState::LocationMap printed;
  AsmState values(module, OpPrintingFlags(), lines ? &printed : nullptr);
  module.print(stream, values);
  stream << '\n';
  if (lines)
    for (auto [op, place] : printed)
      (*lines)[op] = place.first + 1;          // below the line that says the stage
  SmallVector<SmallVector<std::string>> names; // by function, by argument
  for (auto function : module.getOps<func::FuncOp>()) {
    auto &list = names.emplace_back();
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      auto name = function.getArgAttrOfType<StringAttr>(i, kArgumentName);
      list.push_back(name ? name.getValue().str() : "");
    }
  }
  std::string out = "// stage " + std::to_string(static_cast<int>(stage)) + ": " + kStageNames[static_cast<size_t>(stage)] + "\n";
  size_t function = 0;
  for (StringRef rest = text; !rest.empty();) {
    auto [line, tail] = rest.split('\n');
    rest = tail;
    if (line.ltrim().starts_with("func.func"))
      ++function;
    while (true) {
      auto [before, after] = line.split("%arg");
      out += before;
      if (before.size() == line.size())
        break;
      StringRef digits = after.take_while(llvm::isDigit);
      unsigned index;
      bool known = function && !digits.getAsInteger(10, index) && index < names[function - 1].size() &&
                   !names[function - 1][index].empty();
      out += known ? "%" + names[function - 1][index] : "%arg" + digits.str();
      line = after.drop_front(digits.size());
    }
    out += '\n';
  }
  return out;
}
