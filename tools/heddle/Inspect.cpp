//===- Inspect.cpp - heddle inspect: look at any stage of a compiled model ----------------------------------------------===//
#include "runtime/plan/Plan.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/Options.h"
#include "tools/heddle/Origins.h"
#include "tools/heddle/Process.h"
#include "tools/heddle/Progress.h"
#include "tools/heddle/StageFiles.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <unistd.h>

namespace heddle::tool {
namespace fs = std::filesystem;

namespace {
struct InspectOptions {
  std::string model, stage, function, trace, target, quantize;
  std::vector<std::string> diff;
  bool json = false, locations = false;
};
} // namespace

static std::string readStage(const Plan &plan, std::string_view stage) {
  return plan.read(stageFile(plan.directory(), stage).lexically_relative(plan.directory()).string());
}

[[noreturn]] static void refuseFunction(const std::string &text, const std::string &stage, const std::string &function) {
  std::string names;
  for (const std::string &name : functionNames(text, stage))
    names += (names.empty() ? "" : ", ") + name;
  throw Failure("stage " + stage + " has no function '" + function + "'; it has: " + names);
}

/// The text of a stage, or of the one function asked for.
static std::string stageText(const fs::path &plan, const std::string &stage, const std::string &function) {
  std::string text = readStage(Plan::open(plan), stage);
  if (function.empty())
    return text;
  std::string found = functionText(text, stage, function);
  if (found.empty())
    refuseFunction(text, stage, function);
  return found;
}

/// The same, each line with what it came from.
static std::string locatedText(const Plan &plan, const std::string &stage, const std::string &function) {
  const std::string text = readStage(plan, stage);
  const Origins origins(plan);
  if (function.empty())
    return origins.annotated(stage, text);
  for (const FunctionLines &lines : functionsOf(text, stage))
    if (lines.name == function)
      return origins.annotated(stage, text, lines.first, lines.last);
  refuseFunction(text, stage, function);
}

/// A text that another program can read by a file name, while this lives. In memory: nothing to remove, no TMPDIR to go wrong.
class MemoryFile {
public:
  explicit MemoryFile(std::string_view text) : descriptor_(memfd_create("heddle-stage", MFD_CLOEXEC)) {
    for (size_t done = 0; descriptor_ >= 0 && done < text.size();) {
      ssize_t written = write(descriptor_, text.data() + done, text.size() - done);
      if (written < 0 && errno != EINTR)
        throw Failure(std::string("no memory for the text of a stage: ") + std::strerror(errno));
      done += written > 0 ? size_t(written) : 0;
    }
    if (descriptor_ < 0)
      throw Failure(std::string("no memory for the text of a stage: ") + std::strerror(errno));
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile &) = delete;
  std::string name() const { return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(descriptor_); }

private:
  int descriptor_;
};

static int printDiff(const fs::path &plan, const InspectOptions &options) {
  MemoryFile before(stageText(plan, options.diff[0], options.function)),
      after(stageText(plan, options.diff[1], options.function));
  ChildResult result = runChild({"diff", "-u", isatty(STDOUT_FILENO) ? "--color=always" : "--color=never", "--label",
                                 options.diff[0], "--label", options.diff[1], before.name(), after.name()});
  if (result.status > 1) // 1 only says that they differ
    throw Failure("diff failed: " + result.output);
  std::cout << result.output;
  return 0;
}

static int printSummary(const fs::path &directory, bool json) {
  Plan plan = Plan::open(directory);
  const Manifest &manifest = plan.manifest();
  nlohmann::json stages = nlohmann::json::array();
  uint64_t weightBytes = 0;
  for (const WeightEntry &weight : manifest.weights)
    weightBytes += weight.bytes;
  for (std::string_view stage : kStages) {
    std::string text = readStage(plan, stage);
    stages.push_back({{"stage", stage},
                      {"file", fs::relative(stageFile(directory, stage), directory).string()},
                      {"lines", std::count(text.begin(), text.end(), '\n')},
                      {"functions", functionNames(text, stage)}});
  }
  auto paged =
      std::ranges::find(manifest.states, StateKind::Paged, &StateEntry::kind); // of decoders, whose paged states are alike
  const StateEntry *kv = paged == manifest.states.end() ? nullptr : &*paged;
  nlohmann::json entries = nlohmann::json::array(), states = nlohmann::json::array();
  for (const Entry &entry : manifest.entries) {
    nlohmann::json outputs = nlohmann::json::array();
    for (const EntryOutput &output : entry.outputs)
      outputs.push_back({{"rows", rowsName(output.rows)}, {"columns", output.columns}});
    nlohmann::json uses = nlohmann::json::object();
    for (const StateUse &use : entry.states)
      uses[manifest.states[static_cast<size_t>(use.state)].name] = accessName(use.access);
    entries.push_back({{"name", entry.name}, {"outputs", outputs}, {"states", uses}});
  }
  for (const StateEntry &state : manifest.states) {
    nlohmann::json &row =
        states.emplace_back(nlohmann::json{{"name", state.name}, {"kind", stateKindName(state.kind)}, {"layers", state.layers}});
    if (state.kind == StateKind::Recurrent)
      row["features"] = state.features;
    else
      row.update(
          {{"heads", state.heads}, {"kv_heads", state.kvHeads}, {"head_size", state.headDim}, {"type", kvTypeName(state.type)}});
  }
  if (json) {
    nlohmann::json report = {{"plan", directory.string()},
                             {"name", manifest.name},
                             {"architecture", manifest.architecture},
                             {"targets", manifest.targets},
                             {"vocabulary", manifest.vocabulary},
                             {"width", manifest.width},
                             {"context", manifest.context},
                             {"layers", kv ? kv->layers : 0},
                             {"heads", kv ? kv->heads : 0},
                             {"kv_heads", kv ? kv->kvHeads : 0},
                             {"head_size", kv ? kv->headDim : 0},
                             {"kv_type", kv ? kvTypeName(kv->type) : ""},
                             {"entries", entries},
                             {"states", states},
                             {"weights", manifest.weights.size()},
                             {"weight_bytes", weightBytes},
                             {"stages", stages}};
    std::cout << report.dump() << "\n";
    return 0;
  }
  std::string targets;
  for (const std::string &target : manifest.targets)
    targets += " " + target;
  std::cout << manifest.name << " (" << manifest.architecture << "), ";
  if (kv)
    std::cout << kv->layers << " layers of width " << manifest.width << ", " << kv->heads << " heads and " << kv->kvHeads
              << " KV heads of size " << kv->headDim << " (cached as " << kvTypeName(kv->type) << "), ";
  std::cout << "vocabulary " << manifest.vocabulary << ", context " << manifest.context << "\n"
            << "plan     " << directory.string() << "\n"
            << "weights  " << manifest.weights.size() << ", " << formatBytes(double(weightBytes)) << "\n"
            << "code    " << targets << "\n";
  for (const auto &stage : stages) {
    std::cout << "stage    " << std::left << std::setw(9) << stage["stage"].get<std::string>() << std::right << std::setw(7)
              << stage["lines"].get<int64_t>() << " lines  ";
    for (const auto &name : stage["functions"])
      std::cout << " " << name.get<std::string>();
    std::cout << "\n";
  }
  return 0;
}

static int inspect(const InspectOptions &options) {
  fs::path plan = planFor(resolveModel(options.model), {options.target, "", options.quantize});
  if (!options.diff.empty())
    return printDiff(plan, options);
  if (!options.trace.empty()) {
    const Plan opened = Plan::open(plan);
    std::cout << Origins(opened).trace(options.trace);
    return 0;
  }
  if (options.locations) {
    std::cout << locatedText(Plan::open(plan), options.stage, options.function);
    return 0;
  }
  if (!options.stage.empty()) {
    std::cout << stageText(plan, options.stage, options.function);
    return 0;
  }
  return printSummary(plan, options.json);
}

void addInspect(CLI::App &app, Action &action) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App *command = app.add_subcommand("inspect", "Print a stage of a compiled model, or how two stages differ");
  command->footer("Stages, in order: " + stageNames() +
                  ". Without --stage or --diff: a summary of the plan, its stages and functions.");
  addModelOption(*command, options->model);
  std::vector<std::string> stages(kStages.begin(), kStages.end());
  command->add_option("--stage", options->stage, "Print this stage")->check(oneOf(stages))->type_name("NAME");
  command->add_option("--function", options->function, "Only this function of the stage")->type_name("NAME");
  command->add_flag("--locations", options->locations,
                    "Before each line of the stage: layers/role/line of the op of the graph that it came from");
  command
      ->add_option("--trace", options->trace,
                   "Print what became of the graph's op of this role (attn_q, attn_q.rope, ffn_norm) in every stage")
      ->type_name("ROLE");
  command->add_option("--diff", options->diff, "Print how two stages differ, as a unified diff")
      ->check(oneOf(stages))
      ->expected(2)
      ->type_name("NAME");
  addTargetOption(*command, options->target);
  addQuantizeOption(*command, options->quantize);
  addJsonOption(*command, options->json);
  command->callback([options, &action] {
    if (!options->stage.empty() && !options->diff.empty())
      throw UsageError("--stage and --diff exclude each other; give one of them");
    if (!options->function.empty() && options->stage.empty() && options->diff.empty())
      throw UsageError("--function needs a stage: add --stage NAME or --diff A B");
    if (options->locations && options->stage.empty())
      throw UsageError("--locations needs a stage: add --stage NAME");
    if (!options->trace.empty() && !(options->stage.empty() && options->diff.empty()))
      throw UsageError("--trace goes through all stages; leave out --stage and --diff");
    if (options->json && !(options->stage.empty() && options->diff.empty() && options->trace.empty()))
      throw UsageError("--json is for the summary; leave out --stage, --diff and --trace");
    action = [options] { return inspect(*options); };
  });
}

} // namespace heddle::tool
