//===- Command.h - what every command of the tool shares --------------------------------------------------------------===//
#pragma once
#include <functional>
#include <stdexcept>
#include <string>

namespace CLI {
class App;
}

namespace heddle::tool {

/// What the parsed command line asks for: main() runs it after parsing and returns its exit status (0 done, 1 failed).
using Action = std::function<int()>;

/// The command line makes no sense: exit status 2. Anything else that is thrown is a failure: exit status 1.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// One line: what, where, and what to do.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One file per command. Each declares its options on `app` and sets `action` when its command was chosen.
void addPull(CLI::App &app, Action &action);
void addCompile(CLI::App &app, Action &action);
void addRun(CLI::App &app, Action &action);
void addServe(CLI::App &app, Action &action);
void addAsk(CLI::App &app, Action &action);
void addInspect(CLI::App &app, Action &action);
void addEval(CLI::App &app, Action &action);
void addEmbed(CLI::App &app, Action &action);
void addBench(CLI::App &app, Action &action);
void addDoctor(CLI::App &app, Action &action);
void addList(CLI::App &app, Action &action);
void addRemove(CLI::App &app, Action &action);
void addCompletion(CLI::App &app, Action &action);

} // namespace heddle::tool
