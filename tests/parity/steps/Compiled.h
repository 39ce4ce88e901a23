//===- Compiled.h - a tiny model, compiled, and what it says ----------------------------------------------------------===//
#pragma once
#include "ir/reference/Reference.h"
#include "runtime/engine/Engine.h"
#include "runtime/plan/Frame.h"
#include "tests/support/TinyModel.h"
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace heddle {
struct CompileOptions;
}

namespace heddle::test {

/// Logits of every position, [tokens][vocabulary].
using Logits = std::vector<float>;

/// A stage's text, edited.
using GraphEdit = std::function<std::string(std::string)>;

/// A tiny model as a GGUF file in a folder of its own, which goes with it.
class CompiledModel {
public:
  /// With `softCap` every attention of the model's graph gets that one.
  explicit CompiledModel(const TinyConfig &config, KvType kvType = KvType::F16, float softCap = 0);
  /// The text of the model's stage graph goes through `edit` first; null: it stays.
  CompiledModel(const TinyConfig &config, KvType kvType, const GraphEdit &edit);
  ~CompiledModel();
  const TinyModel &model() const { return model_; }
  std::string stage(const char *name) const;
  /// Compiles for `target` (empty: the host's best) in the register tiles of `tiling` (empty: the target's own), its loops
  /// blocked for `cacheBytes` (0: the host's).
  std::filesystem::path plan(const std::string &target, const std::string &tiling, int64_t cacheBytes = 0);

private:
  CompileOptions options() const;

  TinyModel model_;
  KvType kvType_;
  std::filesystem::path folder_, graph_; // graph_: the edited text of stage graph, if there is one
};

struct Schedule {
  int ranks = 1;
  int64_t threads = 1, chunk = 512;
};
/// Runs a plan over `tokens`, ranks as threads of this process.
Logits run(const std::filesystem::path &plan, const std::vector<int32_t> &tokens, const Schedule &schedule);

/// The tokens that each of `prompts` gets, `count` greedy ones with the logprobs of the best 20: of all prompts at once, or of
/// one after the other.
std::vector<std::vector<TokenResult>> answers(const std::filesystem::path &plan, const std::vector<std::vector<int32_t>> &prompts,
                                              int64_t count, const Schedule &schedule, bool atOnce);

/// All tokens of one sequence in one step, every row wanted.
reference::Batch batchOf(const std::vector<int32_t> &tokens);
/// What the interpreter makes of a stage's text: all tokens in one step. Floats of the one arithmetic.
Logits interpret(const CompiledModel &model, const char *stage, const std::vector<int32_t> &tokens, int ranks = 1);
/// Stage graph in exact mathematics.
std::vector<double> interpretExactly(const CompiledModel &model, const std::vector<int32_t> &tokens);

/// SHA-256 over the bytes of the logits.
std::string hashOf(const Logits &logits);

} // namespace heddle::test
