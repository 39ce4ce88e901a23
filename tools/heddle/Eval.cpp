//===- Eval.cpp - heddle eval: perplexity of a text, and its logits -----------------------------------------------------===//
//
// Every position of the text is predicted from all before it. Special tokens written in the text are read as plain text, and no
// token is added but by --bos, as the peer script does, so that rows can be compared one by one.
//===---------------------------------------------------------------------------------------------------------------===//
#include "services/frontend/ServedModel.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/Npy.h"
#include "tools/heddle/Numbers.h"
#include "tools/heddle/Options.h"
#include "tools/heddle/Progress.h"
#include "tools/heddle/Session.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

namespace heddle::tool {
namespace {

struct EvalOptions {
  std::string model, text, logits;
  int64_t chunk = 512;
  bool bos = false, json = false;
  RankOptions ranks;
};

/// −log of the probability of `token`, in f64: perplexity is a summary, not part of the one arithmetic.
double surprise(std::span<const float> logits, int32_t token, int64_t position) {
  float highest = -INFINITY;
  bool good = true; // −∞ is legal: "never this token"
  for (float x : logits) {
    good &= x < INFINITY;
    highest = std::max(highest, x);
  }
  if (!good || highest == -INFINITY)
    throw Failure("the logits at position " + std::to_string(position) +
                  " hold a NaN or +infinity, or are all -infinity; the model's weights may be broken");
  double sum = 0;
  for (float x : logits)
    sum += std::exp(double(x) - highest);
  return std::log(sum) + highest - logits[size_t(token)];
}

std::vector<int32_t> tokensOf(const EvalOptions &options, const ServedModel &model) {
  std::string text = readTextFile(options.text);
  std::vector<int32_t> tokens = model.tokenizer()->encode(text, /*parseSpecial=*/false);
  if (options.bos) {
    if (model.manifest().bos < 0)
      throw Failure("the model '" + model.manifest().name + "' has no token that begins a text; leave out --bos");
    tokens.insert(tokens.begin(), int32_t(model.manifest().bos));
  }
  if (tokens.size() < 2)
    throw Failure(options.text + " holds " + std::to_string(tokens.size()) + " tokens; at least 2 are needed to predict one");
  if (int64_t(tokens.size()) > model.manifest().context)
    throw Failure(options.text + " holds " + std::to_string(tokens.size()) + " tokens, but the model's context is " +
                  std::to_string(model.manifest().context) + "; cut the text");
  return tokens;
}

int eval(const EvalOptions &options) {
  ResolvedModel resolved = resolveModel(options.model);
  std::filesystem::path plan = planFor(resolved, {options.ranks.target, options.ranks.kvType, options.ranks.quantize});
  ServedModel model = ServedModel::open(plan, resolved.name);
  std::vector<int32_t> tokens = tokensOf(options, model);
  int64_t vocabulary = model.manifest().vocabulary, count = int64_t(tokens.size());
  if (const Manifest &about = model.manifest(); about.addBos && tokens.front() != about.bos)
    std::cerr
        << "note: what this model reads begins with its beginning-of-text token, and this text does not; perplexities of other "
           "programs may be with it (--bos)\n";

  std::optional<NpyWriter> matrix;
  std::optional<OutputFile> ids;
  if (!options.logits.empty()) { // opened first: a folder that cannot be written shows before the work
    matrix.emplace(options.logits, count, vocabulary);
    if (matrix->isNewFile()) // there is no place for a second file beside a device or a pipe
      ids.emplace(options.logits + ".tokens.json");
  }
  MemoryOptions memory;
  memory.context = count;
  RankOptions ranks = options.ranks;
  ranks.tokenBudget = std::min(options.chunk, count);
  auto session = openSession(plan, ranks, memory, model.tokenizer());

  Progress progress("evaluating");
  double sum = 0;
  auto start = std::chrono::steady_clock::now();
  session->evaluate(tokens, options.chunk, [&](int64_t position, const float *row) {
    std::span<const float> logits(row, size_t(vocabulary));
    if (position + 1 < count)
      sum += surprise(logits, tokens[size_t(position) + 1], position);
    if (matrix)
      matrix->row(logits);
    progress.update(double(position + 1) / double(count), std::to_string(position + 1) + " tokens");
  });
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  progress.clear();
  if (matrix) {
    if (ids) {
      std::string list = nlohmann::json(tokens).dump();
      ids->write(list.data(), list.size());
      ids->finish();
    }
    matrix->finish();
  }

  double mean = sum / double(count - 1);
  if (options.json) {
    nlohmann::json report = {{"engine", "heddle"},
                             {"model", model.manifest().name},
                             {"tokens", count},
                             {"perplexity", std::exp(mean)},
                             {"mean_negative_log_likelihood", mean},
                             {"chunk", options.chunk},
                             {"ranks", options.ranks.ranks},
                             {"threads", session->threads()},
                             {"seconds", seconds},
                             {"tokens_per_second", double(count) / seconds}};
    if (matrix)
      report["logits"] = options.logits;
    std::cout << report.dump() << "\n";
    return 0;
  }
  char line[160];
  std::snprintf(line, sizeof line, "perplexity %.4f over %lld predictions, %.0f tokens/s", std::exp(mean), (long long)(count - 1),
                double(count) / seconds);
  std::cout << line << "\n";
  return 0;
}

} // namespace

void addEval(CLI::App &app, Action &action) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App *command = app.add_subcommand("eval", "Perplexity of a text, and the raw logits of each of its positions");
  addModelOption(*command, options->model);
  command->add_option("--text", options->text, "The text, UTF-8")->required()->check(existingFile())->type_name("FILE");
  command
      ->add_option(
          "--logits", options->logits,
          "Write all logits here, f32 [tokens, vocabulary], and the ids to FILE.tokens.json (not beside a device or pipe)")
      ->type_name("FILE.npy");
  addInteger(*command, "--chunk", options->chunk, 1, 65536,
             "Tokens computed in one step (default 512), fewer where their logits have no room; changes no bit of the result")
      ->type_name("N");
  command->add_flag("--bos", options->bos, "Put the model's beginning-of-text token first; nothing is added without it");
  addRankOptions(*command, options->ranks);
  addTargetOption(*command, options->ranks.target);
  addKvTypeOption(*command, options->ranks.kvType);
  addQuantizeOption(*command, options->ranks.quantize);
  addJsonOption(*command, options->json);
  command->callback([options, &action] { action = [options] { return eval(*options); }; });
}

} // namespace heddle::tool
