//===- Bench.cpp - heddle bench: how fast a model reads prompts and writes tokens -----------------------------------------===//
//
// The measurement itself is services/worker/Bench.h, so that it is the same one in this process and on a group of ranks.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/engine/PlanEngine.h"
#include "runtime/host/Output.h"
#include "runtime/plan/Frame.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/HostPeaks.h"
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/Numbers.h"
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
  memory.context = std::max(bench.prompt, std::max<int64_t>(1, bench.depth) + bench.tokens + decodeSlack(bench)) + 16;
  if (memory.context > manifest.context)
    throw UsageError("-p " + std::to_string(bench.prompt) + ", -n " + std::to_string(bench.tokens) + " and --depth " +
                     std::to_string(bench.depth) + " do not fit the model's context of " + std::to_string(manifest.context) +
                     " tokens");
  int64_t pages = (memory.context + kPageTokens - 1) / kPageTokens + 1;
  memory.kvBytes = uint64_t(bench.parallel * pages) * stateShapesOf(manifest).wholePageBytes();
  return memory;
}

/// What a step costs whatever the contexts: packed weights that it reads once, multiplications and additions of its products for
/// each token and, in the output head, for each position whose logits are wanted.
struct ModelCost {
  double bytes = 0;
  struct Operations {
    double integer = 0, floating = 0;
  } perToken, perWanted;
  explicit ModelCost(const Manifest &manifest) {
    auto isTable = [](const WeightEntry &weight) { return weight.packed && weight.share == ShareKind::Whole; };
    auto isHead = [&](const WeightEntry &weight) { return weight.packed && weight.rows == manifest.vocabulary; };
    bool tied = std::ranges::none_of(manifest.weights, [&](const WeightEntry &w) { return isHead(w) && !isTable(w); });
    for (const WeightEntry &weight : manifest.weights) {
      if (isTable(weight) && !tied)
        continue; // a token reads one row of an embedding table, unless the table is the output head too
      bytes += double(weight.bytes);
      if (!weight.packed)
        continue;
      Operations &all = isHead(weight) ? perWanted : perToken;
      (traits(weight.format).quantized ? all.integer : all.floating) += 2 * double(weight.rows) * double(weight.columns);
    }
  }
};

/// Tokens a second that memory and multipliers allow where a step has `tokens` tokens and wants logits of `wanted` positions;
/// attention is left out.
double limit(const ModelCost &cost, const HostPeaks &peaks, double tokens, double wanted) {
  double integers = tokens * cost.perToken.integer + wanted * cost.perWanted.integer;
  double floats = tokens * cost.perToken.floating + wanted * cost.perWanted.floating;
  double computing = integers / peaks.integerOperations + floats / peaks.floatOperations;
  return tokens / std::max(cost.bytes / peaks.readBandwidth, computing);
}

nlohmann::ordered_json toJson(const std::vector<KernelTime> &kernels) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const KernelTime &k : kernels)
    list.push_back({{"kernel", k.name},
                    {"calls", k.calls},
                    {"seconds", k.seconds},
                    {"waiting_seconds", k.waiting},
                    {"gather_seconds", k.gathering},
                    {"bytes", k.bytes},
                    {"integer_operations", k.integerOperations},
                    {"float_operations", k.floatOperations}});
  return list;
}

/// One line a kernel: how long, how fast, and how near to what binds it.
void printKernels(const char *title, const std::vector<KernelTime> &kernels, const HostPeaks &peaks) {
  double all = 0;
  for (const KernelTime &k : kernels)
    all += k.seconds + k.gathering;
  std::cout << format("\n%-40s %8s %9s %7s %8s %8s %8s %7s %7s\n", title, "calls", "us/call", "time", "GB/s", "GOP/s", "of limit",
                      "waiting", "gather");
  for (const KernelTime &k : kernels) {
    double bandwidth = k.bytes / k.seconds, operations = (k.integerOperations + k.floatOperations) / k.seconds;
    double computing = k.integerOperations / peaks.integerOperations + k.floatOperations / peaks.floatOperations;
    double share = std::max(bandwidth / peaks.readBandwidth, computing / k.seconds);
    auto percent = [&](double part) { return 100 * part / all; };
    std::cout << format("%-40s %8lld %9.1f %6.1f%% %8.1f %8.1f %7.0f%% %6.1f%% %6.1f%%\n", k.name.c_str(), (long long)k.calls,
                        1e6 * (k.seconds + k.gathering) / double(k.calls), percent(k.seconds), bandwidth / 1e9, operations / 1e9,
                        100 * share, percent(k.waiting), percent(k.gathering));
  }
}

int bench(const BenchCommand &command) {
  std::filesystem::path directory =
      planFor(resolveModel(command.model), {command.ranks.target, command.ranks.kvType, command.ranks.quantize});
  Plan plan = Plan::open(directory);
  MemoryOptions memory = memoryFor(plan, command.bench);
  auto session = openSession(directory, command.ranks, memory);
  std::cerr << "measuring, " << command.bench.repeat << " times and once to warm up\n";
  // On other hosts there may be other CPUs: peaks are this one's, with as many threads as all ranks have together.
  HostPeaks peaks = measureHostPeaks(session->threads() * command.ranks.ranks);
  BenchFigures figures = session->bench(command.bench);
  double prefill = median(figures.prefillTokensPerSecond), decode = median(figures.decodeTokensPerSecond);
  ModelCost cost(plan.manifest());
  double prefillLimit = limit(cost, peaks, double(std::min(command.bench.prompt, command.ranks.tokenBudget)), 1);
  double decodeLimit = limit(cost, peaks, double(command.bench.parallel), double(command.bench.parallel));
  if (command.json) {
    nlohmann::ordered_json report = {{"engine", "heddle"},
                                     {"threads", session->threads()},
                                     {"parallel", command.bench.parallel},
                                     {"prompt", command.bench.prompt},
                                     {"tokens", command.bench.tokens},
                                     {"depth", command.bench.depth},
                                     {"prefill_tokens_per_second", rounded(prefill)},
                                     {"decode_tokens_per_second", rounded(decode)},
                                     {"prefill_of_limit", rounded(prefill / prefillLimit)},
                                     {"decode_of_limit", rounded(decode / decodeLimit)},
                                     {"read_bandwidth_gb_per_second", rounded(peaks.readBandwidth / 1e9)},
                                     {"integer_peak_gop_per_second", rounded(peaks.integerOperations / 1e9)},
                                     {"float_peak_gflop_per_second", rounded(peaks.floatOperations / 1e9)},
                                     {"weight_bytes_per_token", cost.bytes},
                                     {"ranks", command.ranks.ranks}};
    if (command.bench.profile)
      report["kernels"] = {{"prefill", toJson(figures.prefillKernels)}, {"decode", toJson(figures.decodeKernels)}};
    std::cout << report.dump() << "\n";
    return 0;
  }
  auto line = [](const std::string &what, double speed, double most) {
    std::cout << format("%-38s %10.2f tokens/s, %3.0f%% of the limit of %.0f\n", what.c_str(), speed, 100 * speed / most, most);
  };
  std::string after = command.bench.depth ? " after " + std::to_string(command.bench.depth) : "";
  line("prompt of " + std::to_string(command.bench.prompt) + " tokens", prefill, prefillLimit);
  line("decode, " + std::to_string(command.bench.tokens) + " tokens" + after, decode, decodeLimit);
  std::cout << format(
      "this host, %lld threads: reads %.1f GB/s; %.0f GOP/s int8, %.0f GFLOP/s f32; a step reads %.1f MB of weights\n",
      (long long)(session->threads() * command.ranks.ranks), peaks.readBandwidth / 1e9, peaks.integerOperations / 1e9,
      peaks.floatOperations / 1e9, cost.bytes / 1e6);
  if (command.bench.profile) {
    printKernels("prompt, kernels of rank 0", figures.prefillKernels, peaks);
    printKernels("decode, kernels of rank 0", figures.decodeKernels, peaks);
  }
  return 0;
}

} // namespace

void addBench(CLI::App &app, Action &action) {
  auto options = std::make_shared<BenchCommand>();
  CLI::App *command = app.add_subcommand("bench", "Measure how fast a model reads prompts and writes tokens (medians)");
  command->footer(
      "Random tokens. Prompt: logits of the last position only. Decode: from an empty context or after --depth tokens, logits "
      "every\n"
      "step; with --parallel, the tokens of all requests are added up. The limit is what this host's memory and multipliers,\n"
      "measured in the same run, allow for the products with the weights; attention comes on top.");
  addModelOption(*command, options->model);
  addInteger(*command, "-p,--prompt", options->bench.prompt, 1, 1 << 20, "Tokens of the prompt (default 512)")->type_name("N");
  addInteger(*command, "-n,--tokens", options->bench.tokens, 1, 1 << 20, "Tokens to decode, per request (default 64)")
      ->type_name("N");
  addInteger(*command, "--parallel", options->bench.parallel, 1, 256, "Requests decoded at once (default 1)")->type_name("B");
  addInteger(*command, "--depth", options->bench.depth, 0, 1 << 20, "Tokens in each context before decoding starts (default 0)")
      ->type_name("N");
  command->add_flag("--profile", options->bench.profile, "Add a round that times every kernel, and print a table");
  addInteger(*command, "-r,--repeat", options->bench.repeat, 1, 1000, "Measure so often (default 5) and take the median")
      ->type_name("N");
  addRankOptions(*command, options->ranks);
  addTokenBudgetOption(*command, options->ranks.tokenBudget);
  addTargetOption(*command, options->ranks.target);
  addKvTypeOption(*command, options->ranks.kvType);
  addQuantizeOption(*command, options->ranks.quantize);
  addJsonOption(*command, options->json);
  command->callback([options, &action] {
    options->bench.tokenBudget = options->ranks.tokenBudget;
    if (options->bench.parallel > 1 && options->ranks.tokenBudget < 2 * options->bench.parallel)
      throw UsageError("--token-budget " + std::to_string(options->ranks.tokenBudget) + " is too small to decode " +
                       std::to_string(options->bench.parallel) + " requests while others are read; give it at least " +
                       std::to_string(2 * options->bench.parallel));
    action = [options] { return bench(*options); };
  });
}

} // namespace heddle::tool
