//===- Texts.h - the texts that a task is asked for ---------------------------------------------------------------------===//
#pragma once
#include "tools/heddle/Options.h"
#include <string>
#include <vector>

namespace heddle::tool {

/// Where the texts come from: the command line, the lines of a file or, where neither is given, the lines of standard input.
struct TextOptions {
  std::vector<std::string> texts;
  std::string file;
  bool truncate = false; // a text that is longer than the model's positions is cut, not refused
};
void addTextOptions(CLI::App &command, TextOptions &options);

/// A text and what errors call it: "text 2", "notes.txt, line 7".
struct GivenText {
  std::string text, name;
};
/// All of them, at least one. Throws UsageError where none is given, and Failure for one that is empty or no UTF-8.
std::vector<GivenText> readTexts(const TextOptions &options);

} // namespace heddle::tool
