//===- StageOrigins.cpp - which line of a stage came from where -----------------------------------------------------===//
#include "compiler/provenance/StageOrigins.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace heddle;

void StageOrigins::add(ModuleOp module, Stage stage, const StageLines &lines) {
  if (stages_.empty()) {
    first_ = stage;
    for (auto [op, line] : lines)
      for (const Origin &origin : originsOf(op->getLoc()))
        printed_[origin.line] = line;
  }
  std::map<unsigned, Operation *> ordered;
  for (auto [op, line] : lines)
    if (!isa<ModuleOp>(op))
      ordered.try_emplace(line, op);
  std::vector<Run> runs;
  for (auto [line, op] : ordered) {
    const SmallVector<size_t> &origins = numbersOf(op->getLoc());
    if (origins.empty())
      continue;
    if (!runs.empty() && runs.back().line + runs.back().lines == line && runs.back().origins == origins)
      ++runs.back().lines;
    else
      runs.push_back({line, 1, origins});
  }
  stages_.emplace_back(stage, std::move(runs));
}

const SmallVector<size_t> &StageOrigins::numbersOf(Location location) {
  auto [found, fresh] = seen_.try_emplace(location);
  if (!fresh)
    return found->second;
  for (const Origin &origin : originsOf(location))
    if (auto line = printed_.find(origin.line); line != printed_.end()) {
      auto [number, isNew] = numbers_.try_emplace({line->second, origin.role.str(), origin.layers.str()}, origins_.size());
      if (isNew)
        origins_.push_back({origin.role.str(), origin.layers.str(), line->second});
      found->second.push_back(number->second);
    }
  return found->second;
}

unsigned StageOrigins::firstLine(Location location) const {
  for (const Origin &origin : originsOf(location))
    if (unsigned line = printed_.lookup(origin.line))
      return line;
  return 0;
}

std::string StageOrigins::json() const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream out(stream);
  out.object([&] {
    out.attribute("first", kStageNames[static_cast<size_t>(first_)]);
    out.attributeArray("origins", [&] {
      for (const Known &origin : origins_)
        out.value(llvm::json::Array{origin.line, llvm::json::fixUTF8(origin.role), llvm::json::fixUTF8(origin.layers)});
    });
    out.attributeObject("stages", [&] {
      for (const auto &[stage, runs] : stages_)
        out.attributeArray(kStageNames[static_cast<size_t>(stage)], [&] {
          for (const Run &run : runs) {
            llvm::json::Array numbers;
            for (size_t number : run.origins)
              numbers.push_back(static_cast<int64_t>(number));
            out.value(llvm::json::Array{run.line, run.lines, std::move(numbers)});
          }
        });
    });
  });
  return text + "\n";
}
