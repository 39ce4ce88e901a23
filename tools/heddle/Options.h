//===- Options.h - options that several commands share -----------------------------------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "runtime/text/Utf8.h"
#include <filesystem>
#include <string>
#include <vector>

namespace CLI {
class App;
class Validator;
} // namespace CLI

namespace heddle::tool {

/// How an engine runs: the same options of run, serve, eval and bench.
struct RankOptions {
  int64_t ranks = 1;
  std::string hostfile;
  int64_t threads = 0;  // of each rank; 0: the cores of the host divided by its ranks
  bool verbose = false; // show what workers and mpirun write
  std::string target;   // which code of the plan to run; empty: the best for the host
  std::string kvType;   // f16 or q8; empty: the plan's, and f16 for a plan to be compiled
  std::string quantize; // what matrices are converted to while compiling; empty: as the model has them
  int64_t tokenBudget = EngineOptions{}.tokenBudget;
  bool distributed() const { return ranks > 1 || !hostfile.empty(); }
  int64_t threadsOrDefault() const; // for a rank of this host
};
void addRankOptions(CLI::App &command, RankOptions &options);
/// For commands that generate: eval has steps of its own (--chunk).
void addTokenBudgetOption(CLI::App &command, int64_t &tokenBudget);

struct MemoryOptions {
  int64_t context = 0;
  uint64_t kvBytes = 0; // of all ranks together; 0: the engine's default
};
void addMemoryOptions(CLI::App &command, MemoryOptions &options);

void addSamplingOptions(CLI::App &command, SamplingParams &params);
/// Throws UsageError that names the option which is out of range.
void checkSampling(const SamplingParams &params);

void addModelOption(CLI::App &command, std::string &model);
void addTargetOption(CLI::App &command, std::string &target);
/// How keys and values are cached, for commands that compile a model where there is no plan of it yet.
void addKvTypeOption(CLI::App &command, std::string &kvType);
/// The format of weights, for the same commands.
void addQuantizeOption(CLI::App &command, std::string &format);
void addJsonOption(CLI::App &command, bool &json);

/// A file; one of some words. Unlike CLI11's own they add nothing to the help and say what is allowed. Numbers: Numbers.h.
CLI::Validator existingFile();
constexpr std::string_view kChoices = "one of "; // how the name of oneOf()'s validator begins; the words follow, with commas
CLI::Validator oneOf(std::vector<std::string> words);

/// The whole of a file that must be UTF-8 text. Throws Failure.
std::string readTextFile(const std::filesystem::path &file);

} // namespace heddle::tool
