//===- StageOrigins.h - which line of a stage came from where -------------------------------------------------------===//
#pragma once
#include "compiler/provenance/Provenance.h"
#include "llvm/ADT/MapVector.h"
#include <string>

namespace heddle {

/// Collects, stage by stage, what the lines of its text came from: lines of the first stage added, each with a role and layers.
/// Plans keep it beside the stages (runtime/plan: ir/origins.json), for `heddle inspect`, which has no compiler.
class StageOrigins {
public:
  void add(mlir::ModuleOp module, Stage stage, const StageLines &lines);
  /// {"first": "graph", "origins": [[line, role, layers] …], "stages": {"fused": [[first line, lines, [origins …]] …] …}};
  /// lines that hold no op, and ops that came from nowhere (constants), are left out.
  std::string json() const;

  Stage first() const { return first_; }
  /// The line of the first stage's text that an op came from, the first of several; 0 where there is none.
  unsigned firstLine(mlir::Location location) const;

private:
  struct Run {
    unsigned line, lines;
    llvm::SmallVector<size_t> origins; // numbers in origins_
  };
  const llvm::SmallVector<size_t> &numbersOf(mlir::Location location);

  Stage first_ = Stage::Graph;
  llvm::DenseMap<mlir::Attribute, unsigned> printed_; // a line that ops name, and the one that the first stage's text has it on
  struct Known {
    std::string role, layers;
    unsigned line;
  };
  std::vector<Known> origins_;
  std::map<std::tuple<unsigned, std::string, std::string>, size_t> numbers_;
  llvm::DenseMap<mlir::Location, llvm::SmallVector<size_t>> seen_;
  std::vector<std::pair<Stage, std::vector<Run>>> stages_;
};

} // namespace heddle
