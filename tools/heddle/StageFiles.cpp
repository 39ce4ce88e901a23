//===- StageFiles.cpp - the printed stages inside a plan ----------------------------------------------------------------===//
//
// Functions are found by the shape of the text, so that looking at a plan needs no compiler:
//   MLIR   `  func.func private @block(%x: …) … {`   to the `  }` of the same indentation
//   LLVM   `define void @block(ptr %0) {`            to `}`
//   asm    `block:`                                  to `.Lfunc_end…:`
//===---------------------------------------------------------------------------------------------------------------===//
#include "tools/heddle/StageFiles.h"
#include "runtime/plan/Frame.h"
#include "tools/heddle/Command.h"

namespace heddle::tool {
namespace fs = std::filesystem;

std::string stageNames() {
  std::string all;
  for (std::string_view stage : kStages)
    all += (all.empty() ? "" : ", ") + std::string(stage);
  return all;
}

fs::path stageFile(const fs::path &plan, std::string_view stage) {
  std::error_code error;
  if (stage == "asm" && fs::exists(plan / "code.s", error))
    return plan / "code.s";
  std::string prefix;
  for (size_t i = 0; i < kStages.size(); ++i)
    if (kStages[i] == stage)
      prefix = std::to_string(i) + "-" + std::string(stage) + ".";
  for (fs::directory_iterator it(plan / "ir", error), end; !error && it != end; it.increment(error)) {
    if (stage != "asm" && it->path().filename().string().starts_with(prefix))
      return it->path();
  }
  throw Failure("the plan " + plan.string() + " holds no stage '" + std::string(stage) +
                "'; compile the model again: heddle compile MODEL -o DIR");
}

namespace {
/// Walks a text line by line.
struct Lines {
  std::string_view rest;
  bool next(std::string_view &line) {
    if (rest.empty())
      return false;
    size_t end = rest.find('\n');
    line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    return true;
  }
};
} // namespace

static bool isNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '$' ||
         c == '-';
}

/// The name after the first @, plain or quoted.
static std::string symbolIn(std::string_view line) {
  size_t at = line.find('@');
  if (at == std::string_view::npos || at + 1 >= line.size())
    return {};
  line = line.substr(at + 1);
  if (line[0] == '"')
    return std::string(line.substr(1, line.find('"', 1) - 1));
  size_t length = 0;
  while (length < line.size() && isNameCharacter(line[length]))
    ++length;
  return std::string(line.substr(0, length));
}

/// Entries have the same name in all stages, though code calls them by a longer one.
static std::string asInStages(std::string name) {
  constexpr std::string_view prefix = kEntryPrefix;
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

/// The function that begins on this line, or an empty name. Declarations have no body and do not count.
static std::string functionBegun(std::string_view line, std::string_view stage) {
  if (stage == "asm") {
    bool label = !line.empty() && line.back() != ' ' && line[0] != '.' && line[0] != '\t' && line[0] != '#' && line[0] != ' ';
    size_t colon = line.find(':');
    return label && colon != std::string_view::npos ? asInStages(std::string(line.substr(0, colon))) : std::string();
  }
  size_t text = line.find_first_not_of(' ');
  if (text == std::string_view::npos || line.empty() || line.back() != '{')
    return {};
  if (stage == "llvm")
    return line.starts_with("define ") ? asInStages(symbolIn(line)) : std::string();
  std::string_view word = line.substr(text, line.find(' ', text) - text);
  return word.ends_with(".func") ? symbolIn(line) : std::string();
}

static bool functionEnds(std::string_view line, std::string_view stage, size_t indentation) {
  if (stage == "asm")
    return line.starts_with(".Lfunc_end");
  return line.find_first_not_of(' ') == indentation && line[indentation] == '}';
}

std::vector<FunctionLines> functionsOf(std::string_view text, std::string_view stage) {
  std::vector<FunctionLines> functions;
  size_t number = 0, indentation = 0;
  bool inside = false;
  Lines lines{text};
  for (std::string_view line; lines.next(line);) {
    ++number;
    if (std::string name = functionBegun(line, stage); !name.empty()) {
      functions.push_back({std::move(name), number, number});
      indentation = line.find_first_not_of(' ');
      inside = true;
    } else if (inside) {
      functions.back().last = number;
      inside = !functionEnds(line, stage, indentation);
    }
  }
  return functions;
}

std::vector<std::string> functionNames(std::string_view text, std::string_view stage) {
  std::vector<std::string> names;
  for (FunctionLines &function : functionsOf(text, stage))
    names.push_back(std::move(function.name));
  return names;
}

std::string functionText(std::string_view text, std::string_view stage, std::string_view function) {
  for (const FunctionLines &lines : functionsOf(text, stage)) {
    if (lines.name != function)
      continue;
    std::string found;
    size_t number = 0;
    Lines all{text};
    for (std::string_view line; all.next(line);)
      if (++number >= lines.first && number <= lines.last)
        found += std::string(line) + "\n";
    return found;
  }
  return {};
}

} // namespace heddle::tool
