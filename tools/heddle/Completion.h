//===- Completion.h - what a shell offers at the Tab key -----------------------------------------------------------------===//
#pragma once
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace heddle::tool {

/// Prints what can stand in place of the last of `words`, which follow `heddle` on a command line, one a line; a last line
/// ":files" says that names of files can stand there too. The words come from the declared commands and options themselves.
void complete(const CLI::App &app, const std::vector<std::string> &words);

} // namespace heddle::tool
