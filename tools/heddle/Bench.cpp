//===- Bench.cpp - heddle bench: how fast a model reads prompts and writes tokens -----------------------------------------===//
//
// The measurement itself is services/worker/Bench.h, so that it is the same one in this process and on a group of ranks.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/plan/StepAbi.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/Options.h"
#include "tools/heddle/Session.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

namespace heddle::tool {
namespace {

struct BenchCommand {
  std::string model;
  BenchOptions bench;
  RankOptions ranks;
  bool json = false;
};

double median(std::vector<double> values) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double rounded(double value) { return std::round(value * 100) / 100; }

/// Room for all requests at once, each as long as the benchmark makes it.
MemoryOptions memoryFor(const Plan &plan, const BenchOptions &bench) {
  const Manifest &manifest = plan.manifest();
  MemoryOptions memory;
  memory.context = std::max(bench.prompt, bench.tokens + 1) + 16;
  if (memory.context > manifest.context)
    throw UsageError("-p " + std::to_string(bench.prompt) + " and -n " + std::to_string(bench.tokens) +
                     " do not fit the model's context of " + std::to_string(manifest.context) + " tokens");
  int64_t pages = (memory.context + kPageTokens - 1) / kPageTokens + 1;
  memory.kvBytes =
      uint64_t(bench.parallel * pages * manifest.kv.layers * manifest.kv.kvHeads) * uint64_t(headPageBytes(manifest.kv.headDim));
  return memory;
}

int bench(const BenchCommand &command) {
  std::filesystem::path directory = planFor(resolveModel(command.model), command.ranks.target);
  MemoryOptions memory = memoryFor(Plan::open(directory), command.bench);
  auto session = openSession(directory, command.ranks, memory);
  std::cerr << "measuring, " << command.bench.repeat << " times and once to warm up\n";
  BenchFigures figures = session->bench(command.bench);
  double prefill = median(figures.prefillTokensPerSecond), decode = median(figures.decodeTokensPerSecond);
  if (command.json) {
    nlohmann::ordered_json report = {{"engine", "heddle"},
                                     {"threads", session->threads()},
                                     {"parallel", command.bench.parallel},
                                     {"prompt", command.bench.prompt},
                                     {"tokens", command.bench.tokens},
                                     {"prefill_tokens_per_second", rounded(prefill)},
                                     {"decode_tokens_per_second", rounded(decode)},
                                     {"ranks", command.ranks.ranks}};
    std::cout << report.dump() << "\n";
    return 0;
  }
  char text[160];
  std::snprintf(text, sizeof text, "prompt of %lld tokens  %10.2f tokens/s\ndecode, %lld tokens  %11.2f tokens/s\n",
                (long long)command.bench.prompt, prefill, (long long)command.bench.tokens, decode);
  std::cout << text;
  return 0;
}

} // namespace

void addBench(CLI::App &app, Action &action) {
  auto options = std::make_shared<BenchCommand>();
  CLI::App *command = app.add_subcommand("bench", "Measure how fast a model reads prompts and writes tokens (medians)");
  command->footer(
      "Random tokens. Prompt: logits of the last position only. Decode: from an empty context, logits every step; with\n"
      "--parallel, the tokens of all requests are added up.");
  addModelOption(*command, options->model);
  command->add_option("-p,--prompt", options->bench.prompt, "Tokens of the prompt (default 512)")
      ->check(between(1, 1 << 20))
      ->type_name("N");
  command->add_option("-n,--tokens", options->bench.tokens, "Tokens to decode, per request (default 64)")
      ->check(between(1, 1 << 20))
      ->type_name("N");
  command->add_option("--parallel", options->bench.parallel, "Requests decoded at once (default 1)")
      ->check(between(1, 256))
      ->type_name("B");
  command->add_option("-r,--repeat", options->bench.repeat, "Measure so often (default 5) and take the median")
      ->check(between(1, 1000))
      ->type_name("N");
  addRankOptions(*command, options->ranks);
  addTargetOption(*command, options->ranks.target);
  addJsonOption(*command, options->json);
  command->callback([options, &action] { action = [options] { return bench(*options); }; });
}

} // namespace heddle::tool
