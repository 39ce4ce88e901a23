//===- Compile.cpp - heddle compile: from a model file to a plan --------------------------------------------------------===//
#include "compiler/Compile.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/Options.h"
#include "tools/heddle/PlanSource.h"
#include "tools/heddle/Progress.h"
#include "tools/heddle/StageFiles.h"
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

namespace heddle::tool {
namespace fs = std::filesystem;
namespace {

struct CompileCommand {
  std::string model, output, target, kvType, quantize, emit, fromStage;
  bool json = false, debugInfo = false;
};

void printReport(const CompileCommand &command, const fs::path &plan, bool compiled, const CompileReport &report) {
  if (!command.json) {
    for (const auto &[phase, seconds] : report.timings)
      std::cerr << "  " << phase << ": " << formatSeconds(seconds) << "\n";
    if (!compiled)
      std::cerr << "already compiled\n";
    std::cout << plan.string() << "\n";
    return;
  }
  nlohmann::ordered_json timings = nlohmann::ordered_json::object();
  for (const auto &[phase, seconds] : report.timings)
    timings[phase] = seconds;
  std::cout << nlohmann::ordered_json{{"plan", plan.string()}, {"compiled", compiled}, {"seconds", timings}}.dump() << "\n";
}

int compile(const CompileCommand &command) {
  ResolvedModel model = resolveModel(command.model);
  bool addsTarget = model.kind == ResolvedModel::Kind::Plan; // code for one more target, into the plan itself
  if (addsTarget && (command.target.empty() || !command.output.empty() || !command.emit.empty() || !command.kvType.empty() ||
                     !command.quantize.empty()))
    throw Failure(command.model + " is a compiled plan: name the target to add to it with --target, or give the model's file");
  CompileOptions options;
  if (addsTarget) {
    options.model = model.path;
    options.target = command.target;
    options.fromStage = command.fromStage;
    options.debugInfo = command.debugInfo;
    CompileReport report = compileNow(options, model.name);
    printReport(command, report.plan, true, report);
    return 0;
  }
  options = compileOptions(model, {command.target, command.kvType, command.quantize}, command.fromStage, command.debugInfo);
  if (!command.emit.empty()) {
    std::cout << emitStage(options, command.emit);
    return 0;
  }
  if (command.output.empty()) {
    ObtainedPlan obtained = obtainPlan(options, model.name, /*everyByte=*/true); // what is told to compile again, does
    printReport(command, obtained.plan, obtained.compiled, obtained.report);
    return 0;
  }
  options.output = fs::absolute(command.output);
  CompileReport report = compileNow(options, model.name);
  printReport(command, report.plan, true, report);
  return 0;
}

} // namespace

void addCompile(CLI::App &app, Action &action) {
  auto options = std::make_shared<CompileCommand>();
  CLI::App *command = app.add_subcommand("compile", "Compile a model into a plan and print where the plan lies");
  command->footer("Without -o the plan goes into the cache, where run, serve and the others find it; give one of --from-stage "
                  "its place with\n"
                  "-o. Where MODEL is a compiled plan, code for --target is added to it.\nStages: " +
                  stageNames() + ".");
  addModelOption(*command, options->model);
  CLI::Option *output = command->add_option("-o,--output", options->output, "Write the plan here, replacing a plan that is there")
                            ->type_name("DIR");
  addTargetOption(*command, options->target);
  addKvTypeOption(*command, options->kvType);
  addQuantizeOption(*command, options->quantize);
  std::vector<std::string> stages(kStages.begin(), kStages.end());
  command->add_option("--emit", options->emit, "Print the text of this stage; write no plan")
      ->check(oneOf(stages))
      ->type_name("STAGE")
      ->excludes(output);
  command
      ->add_option("--from-stage", options->fromStage, "Go on from this text of a stage instead of importing the model's graph")
      ->check(existingFile())
      ->type_name("FILE");
  command->add_flag("-g,--debug-info", options->debugInfo,
                    "Let the code say which line of stage loops and which role it came from, for gdb and perf");
  addJsonOption(*command, options->json);
  command->callback([options, output, &action] {
    if (output->count() && options->output.empty())
      throw UsageError("-o is empty; give the name of a folder, or leave -o out");
    if (!options->kvType.empty() && !options->fromStage.empty())
      throw UsageError("--kv-type goes with a model's graph; a saved stage says how it caches (heddle.state)");
    if (!options->quantize.empty() && !options->fromStage.empty())
      throw UsageError(
          "--quantize goes with a model's graph; a saved stage says how its weights are made (heddle.weight … from)");
    if (options->json && !options->emit.empty())
      throw UsageError("--emit prints the stage as it is; leave out --json");
    action = [options] { return compile(*options); };
  });
}

} // namespace heddle::tool
