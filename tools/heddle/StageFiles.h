//===- StageFiles.h - the printed stages inside a plan ------------------------------------------------------------------===//
#pragma once
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::tool {

/// In the order of compilation; docs/stages.md says what each holds.
inline constexpr std::array<std::string_view, 8> kStages = {"graph",   "fused", "sharded", "planned",
                                                            "kernels", "loops", "llvm",    "asm"};
std::string stageNames(); // "graph, fused, …", for messages

/// The file that holds a stage of a plan. Throws Failure when the plan was written without it.
std::filesystem::path stageFile(const std::filesystem::path &plan, std::string_view stage);

/// A function with a body in the text of a stage: its lines from `first` to `last`, counted from 1.
struct FunctionLines {
  std::string name;
  size_t first, last;
};
std::vector<FunctionLines> functionsOf(std::string_view text, std::string_view stage);

/// Their names, in order.
std::vector<std::string> functionNames(std::string_view text, std::string_view stage);

/// The text of one function, its closing line included; empty when there is none of that name.
std::string functionText(std::string_view text, std::string_view stage, std::string_view function);

} // namespace heddle::tool
