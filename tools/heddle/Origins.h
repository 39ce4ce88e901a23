//===- Origins.h - what the lines of a plan's stages came from ----------------------------------------------------------===//
#pragma once
#include "runtime/plan/Plan.h"
#include "tools/heddle/StageFiles.h"
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace heddle::tool {

/// What the compiler kept beside the stages (ir/origins.json, compiler/provenance/StageOrigins.h). Of llvm and asm it says what
/// each function came from, which has its name from stage kernels on.
class Origins {
public:
  /// Throws Failure.
  explicit Origins(const Plan &plan);

  /// Each line of a stage's text with "layers/role/line of the first stage" before it, where it came from one.
  std::string annotated(std::string_view stage, std::string_view text) const;
  /// The same of the lines `first` to `last` alone.
  std::string annotated(std::string_view stage, std::string_view text, size_t first, size_t last) const;

  /// Every line of each stage that came from ops of this role; long functions are shortened. Throws Failure, which lists the
  /// roles, where there is no such role.
  std::string trace(const std::string &role) const;

private:
  struct Origin {
    int64_t line; // of the first stage
    std::string role, layers;
  };
  struct Run {
    size_t first, lines;
    std::vector<size_t> origins;
  };
  using Numbers = std::vector<size_t>; // of origins_

  /// By line of the text; [0] is none.
  std::vector<Numbers> byLine(std::string_view stage, std::string_view text) const;
  std::string label(const Numbers &numbers) const;

  const Plan &plan_;
  std::string first_;
  std::vector<Origin> origins_;
  std::map<std::string, std::vector<Run>, std::less<>> stages_;
};

} // namespace heddle::tool
