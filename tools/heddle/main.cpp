//===- main.cpp - the heddle command ---------------------------------------------------------------------------------===//
//
// Parses the command line and runs one command. Exit status: 0 done, 1 failed, 2 wrong usage; an error is one line on stderr. A
// signal ends the program as the shell expects it: 130 for Ctrl-C, 143 for SIGTERM, 141 for a reader that went away.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/host/Inherited.h"
#include "runtime/host/Output.h"
#include "runtime/text/Utf8.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Completion.h"
#include "tools/heddle/Interrupt.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <system_error>

using namespace heddle;
using namespace heddle::tool;

static std::string chosenCommand(const CLI::App &app) {
  auto chosen = app.get_subcommands();
  return chosen.empty() ? "heddle" : "heddle " + chosen.front()->get_name();
}

static int runCommand(CLI::App &app, int argc, char **argv) {
  Action action;
  addPull(app, action);
  addCompile(app, action);
  addRun(app, action);
  addServe(app, action);
  addAsk(app, action);
  addInspect(app, action);
  addEval(app, action);
  addEmbed(app, action);
  addBench(app, action);
  addList(app, action);
  addRemove(app, action);
  addDoctor(app, action);
  addCompletion(app, action);

  if (argc < 2) {
    std::cout << app.help();
    return 2;
  }
  // CLI11 would only say that a command is required.
  std::string first = argv[1];
  if (first[0] != '-' && app.get_subcommands([&](CLI::App *command) { return command->get_name() == first; }).empty())
    throw UsageError("there is no command '" + first + "'; see heddle --help");
  if (first == "completion" && argc > 2 && std::string_view(argv[2]) == "--for") { // what follows is a line that is being typed
    complete(app, {argv + 3, argv + argc});
    return 0;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &stop) { // --help, --version
    return app.exit(stop);
  }
  return action();
}

static int fail(const CLI::App &app, std::string message, int status = 1) {
  auto space = [](unsigned char c) { return std::isspace(c) != 0; };
  std::ranges::replace_if(message, space, ' '); // libraries' messages may have several lines; a user gets one
  message.erase(message.find_last_not_of(' ') + 1);
  std::cerr << chosenCommand(app) << ": " << printable(message) << "\n";
  return status;
}

int main(int argc, char **argv) {
  putInheritedStateRight();
  takeSignals();
  CheckedOutput output;
  CLI::App app{"Heddle compiles a Transformer into CPU code and runs or serves it, on one host or over MPI.\n"
               "MODEL is a pulled name (heddle pull --list), a GGUF file or a compiled plan.",
               "heddle"};
  app.set_version_flag("--version", "heddle " HEDDLE_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  try {
    if (std::string problem = inheritedProblem(); !problem.empty())
      return fail(app, problem);
    int status = runCommand(app, argc, argv);
    output.flush(); // a reader that went away or a full disk must not look like success
    return status;
  } catch (const CLI::ParseError &error) {
    return fail(app, std::string(error.what()) + "; see " + chosenCommand(app) + " --help", 2);
  } catch (const UsageError &error) {
    return fail(app, error.what(), 2);
  } catch (const Interrupted &interrupted) {
    if (!interrupted.message.empty())
      fail(app, interrupted.message);
  } catch (const OutputError &error) {
    if (error.error == EPIPE && !inheritedIgnoredPipe())
      endBySignal(SIGPIPE); // as every program whose reader has read enough
    return fail(app, error.what());
  } catch (const std::system_error &error) {
    const bool thread = error.code() == std::errc::resource_unavailable_try_again;
    return fail(app, thread
                         ? "no further thread may be started: raise the limit on processes (ulimit -u, pids.max of the container)"
                         : error.what());
  } catch (const std::exception &error) {
    return fail(app, error.what());
  }
  try {
    output.flush();
  } catch (const OutputError &) { // the signal says enough
  }
  endByNotedSignal();
}
