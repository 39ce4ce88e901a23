//===- Options.cpp - options that several commands share ---------------------------------------------------------------===//
#include "tools/heddle/Options.h"
#include "compiler/Compile.h"
#include "runtime/host/Resources.h"
#include "runtime/plan/Targets.h"
#include "runtime/quant/Encode.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Numbers.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace heddle::tool {

// Far beyond what anybody runs, far below what a typing mistake asks for.
constexpr size_t kLongestText = size_t{1} << 30; // bytes: /dev/zero ends
constexpr int64_t kMaxRanks = 1024, kMaxThreads = 1024, kMaxContext = int64_t(1) << 24;

int64_t RankOptions::threadsOrDefault() const { return threads > 0 ? threads : defaultThreads(ranks); }

void addRankOptions(CLI::App &command, RankOptions &options) {
  addInteger(command, "--ranks", options.ranks, int64_t(1), kMaxRanks, "Processes that share the model over MPI (default 1)")
      ->type_name("R");
  command.add_flag("--verbose", options.verbose, "Show everything that the workers and mpirun write");
  command.add_option("--hostfile", options.hostfile, "Hosts for the ranks, as Open MPI reads them: lines 'HOST slots=N'")
      ->check(existingFile())
      ->type_name("FILE");
  addInteger(command, "--threads", options.threads, int64_t(1), kMaxThreads,
             "Threads of each rank (default: the cores that they may use, divided by the ranks of a host)")
      ->type_name("T");
}

void addTokenBudgetOption(CLI::App &command, int64_t &tokenBudget) {
  addInteger(command, "--token-budget", tokenBudget, int64_t(1), kMostTokenBudget,
             "Tokens that one step computes at most, of all requests (default " + std::to_string(tokenBudget) +
                 "): less lets answers wait less while a long prompt is read; changes no bit of the result")
      ->type_name("N");
}

void addMemoryOptions(CLI::App &command, MemoryOptions &options) {
  addInteger(command, "--context", options.context, int64_t(1), kMaxContext,
             "Longest prompt plus answer, in tokens (default: the model's, at most 8192)")
      ->type_name("N");
  addSize(command, "--kv-memory", options.kvBytes,
          "Memory for the keys and values of all requests on all ranks together, such as 512M or 4G");
}

void addSamplingOptions(CLI::App &command, SamplingParams &params) {
  addReal(command, "--temperature", params.temperature,
          "0 always takes the likeliest token (default: the model's own or 0.8 with its chat template, else 0)")
      ->type_name("X");
  addInteger(command, "--top-k", params.topK, int64_t(0), INT64_MAX,
             "Choose among the K likeliest tokens; 0 for all (with the template: the model's own or 40)")
      ->type_name("K");
  addReal(command, "--top-p", params.topP,
          "Choose among the likeliest tokens that hold this much probability (with the template: 0.95)")
      ->type_name("P");
  addReal(command, "--min-p", params.minP, "Drop tokens less likely than P times the likeliest (with the template: 0.05)")
      ->type_name("P");
  addReal(command, "--repeat-penalty", params.repeatPenalty, "Above 1: tokens that occurred become less likely")->type_name("X");
  addInteger(command, "--seed", params.seed, uint64_t(0), UINT64_MAX, "Same seed, same text (default: drawn, and told)")
      ->type_name("S");
  command.add_option("--stop", params.stop, "End before this text; may be given several times")
      ->type_name("TEXT")
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args(false);
  addInteger(command, "--logprobs", params.logprobs, int64_t(0), kMostLogprobs,
             "Report log-probabilities, with those of the best K tokens of each step")
      ->type_name("K");
}

void checkSampling(const SamplingParams &params) {
  auto error = validate(params);
  if (!error)
    return;
  // Fields are named as in the API; options write a dash, and the number of tokens is -n here.
  std::string option = error->field == "max_tokens" ? "-n" : "--" + error->field, message = error->message;
  std::replace(option.begin(), option.end(), '_', '-');
  if (message.starts_with(error->field))
    message = message.substr(error->field.size());
  else
    message = ": " + message;
  throw UsageError(option + message);
}

void addModelOption(CLI::App &command, std::string &model) {
  command.add_option("MODEL", model, "A pulled name, a GGUF file, a Hugging Face folder or a compiled plan")
      ->required()
      ->type_name("");
}

void addTargetOption(CLI::App &command, std::string &target) {
  command.add_option("--target", target, targetChoices() + " (default: the best for this host)")
      ->check(oneOf({kTargets.begin(), kTargets.end()}))
      ->type_name("CPU");
}

void addKvTypeOption(CLI::App &command, std::string &kvType) {
  command
      .add_option(
          "--kv-type", kvType,
          "Cache keys and values as f16, or in 8 bits (q8), in little over half of the memory (default f16, or as a plan has it)")
      ->check(oneOf({"f16", "q8"}))
      ->type_name("TYPE");
}

void addQuantizeOption(CLI::App &command, std::string &format) {
  std::vector<std::string> names;
  for (Format known : kFormats)
    if (canEncode(known))
      names.emplace_back(traits(known).name);
  command
      .add_option("--quantize", format,
                  "Compile the model with all its matrices in this format, one of " + formatNames(canEncode) +
                      " (default: as the model has them)")
      ->check(oneOf(names))
      ->type_name("FORMAT");
}

void addJsonOption(CLI::App &command, bool &json) { command.add_flag("--json", json, "Print one JSON object"); }

CLI::Validator oneOf(std::vector<std::string> words) {
  std::string name(kChoices);
  for (const std::string &word : words)
    name += (name.size() == kChoices.size() ? "" : ",") + word;
  return CLI::Validator(
      [words = std::move(words)](std::string &text) -> std::string {
        std::string all;
        for (const std::string &word : words) {
          if (word == text)
            return {};
          all += (all.empty() ? "" : ", ") + word;
        }
        return "must be one of " + all + ", not '" + text + "'";
      },
      "", name);
}

CLI::Validator existingFile() {
  return CLI::Validator(
      [](std::string &text) -> std::string {
        std::error_code error;
        if (std::filesystem::exists(text, error) && !std::filesystem::is_directory(text, error))
          return {}; // a pipe or a terminal can be read too
        return "'" + text + "' is no file";
      },
      "");
}

std::string readTextFile(const std::filesystem::path &file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error))
    throw Failure(file.string() + " is a folder; a text file is needed");
  std::ifstream in(file, std::ios::binary);
  std::string text, part(size_t{1} << 20, '\0');
  while (in.read(part.data(), std::streamsize(part.size())) || in.gcount() > 0) {
    text.append(part, 0, size_t(in.gcount()));
    if (text.size() > kLongestText)
      throw Failure(file.string() + " has more than 1 GiB; that is no text");
  }
  if (!in.eof())
    throw Failure(file.string() + " cannot be read: " + std::strerror(errno));
  if (size_t bad = firstInvalidUtf8(text); bad != std::string::npos)
    throw Failure(file.string() + " is not UTF-8 at byte " + std::to_string(bad) + "; convert it (iconv -t UTF-8)");
  return text;
}

} // namespace heddle::tool
