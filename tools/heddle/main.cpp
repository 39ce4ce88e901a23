//===- main.cpp - the heddle command ---------------------------------------------------------------------------------===//
//
// Parses the command line and runs one command. Exit status: 0 done, 1 failed, 2 wrong usage; an error is one line on stderr.
//===---------------------------------------------------------------------------------------------------------------===//
#include "tools/heddle/Command.h"
#include <CLI/CLI.hpp>
#include <iostream>

using namespace heddle::tool;

/// Messages of libraries may have several lines; a user gets one.
static std::string oneLine(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.pop_back();
  for (char &c : text)
    if (c == '\n' || c == '\r')
      c = ' ';
  return text;
}

static std::string chosenCommand(const CLI::App &app) {
  auto chosen = app.get_subcommands();
  return chosen.empty() ? "heddle" : "heddle " + chosen.front()->get_name();
}

int main(int argc, char **argv) {
  CLI::App app{"Heddle compiles a Transformer into CPU code and runs or serves it, on one host or over MPI.\n"
               "MODEL is a pulled name (heddle pull --list), a GGUF file or a compiled plan.",
               "heddle"};
  app.set_version_flag("--version", "heddle " HEDDLE_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  Action action;
  addPull(app, action);
  addCompile(app, action);
  addRun(app, action);
  addServe(app, action);
  addAsk(app, action);
  addInspect(app, action);
  addEval(app, action);
  addBench(app, action);
  addDoctor(app, action);

  if (argc < 2) {
    std::cout << app.help();
    return 2;
  }
  try {
    // CLI11 would only say that a command is required.
    std::string first = argv[1];
    if (first[0] != '-' && app.get_subcommands([&](CLI::App *command) { return command->get_name() == first; }).empty())
      throw UsageError("there is no command '" + first + "'; see heddle --help");
    app.parse(argc, argv);
    int status = action();
    // A reader that went away or a full disk must not look like success.
    std::cout.flush();
    if (!std::cout && status == 0)
      throw Failure("standard output could not be written; free space or check where it goes");
    return status;
  } catch (const CLI::Success &stop) { // --help, --version
    return app.exit(stop);
  } catch (const CLI::ParseError &error) {
    std::string command = chosenCommand(app);
    std::cerr << command << ": " << oneLine(error.what()) << "; see " << command << " --help\n";
    return 2;
  } catch (const UsageError &error) {
    std::cerr << chosenCommand(app) << ": " << oneLine(error.what()) << "\n";
    return 2;
  } catch (const std::exception &error) {
    std::cerr << chosenCommand(app) << ": " << oneLine(error.what()) << "\n";
    return 1;
  }
}
