//===- PlanEngine.cpp - the engine over a plan on disk ----------------------------------------------------------------===//
#include "runtime/engine/PlanEngine.h"
#include "runtime/comm/Host.h"
#include "runtime/engine/EngineImpl.h"
#include "runtime/engine/HostTarget.h"
#include "runtime/host/Mounts.h"
#include "runtime/plan/RopeTables.h"
#include "runtime/plan/Targets.h"
#include "runtime/plan/WeightLoader.h"
#include "runtime/text/Tokenizer.h"
#include <algorithm>
#include <dlfcn.h>
#include <iterator>

namespace heddle {
namespace {

/// Compiled code, mapped while it lives.
class CodeLibrary {
public:
  explicit CodeLibrary(const std::filesystem::path &file)
      : handle_(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)), file_(file.string()) {
    if (!handle_ && mountedNoexec(file))
      throw std::runtime_error(file.string() +
                               " cannot be run: its file system is mounted noexec; set XDG_CACHE_HOME to a folder on " +
                               "another, or compile the model with -o DIR on another and give that plan");
    if (!handle_)
      throw std::runtime_error("cannot load " + file.string() + ": " + dlerror() + "; compile the plan again");
  }
  CodeLibrary(const CodeLibrary &) = delete;
  ~CodeLibrary() { dlclose(handle_); }
  EntryFunction entry(const std::string &name) const {
    if (void *symbol = dlsym(handle_, (kEntryPrefix + name).c_str()))
      return reinterpret_cast<EntryFunction>(symbol);
    throw std::runtime_error(file_ + " has no entry '" + name + "'; compile the plan again");
  }

private:
  void *handle_;
  std::string file_;
};

/// What a StepModel points into.
struct Loaded {
  CodeLibrary code;
  RankWeights weights;
  RopeTables ropes;
};

class StreamTextDecoder : public TextDecoder {
public:
  explicit StreamTextDecoder(std::shared_ptr<const Tokenizer> tokenizer)
      : decoder_(tokenizer), tokenizer_(std::move(tokenizer)) {}
  std::string push(int32_t id) override { return decoder_.push(id); }
  std::string flush() override { return decoder_.flush(); }
  std::string hidden(int32_t id) override { return tokenizer_->isHidden(id) ? tokenizer_->tokenText(id) : ""; }

private:
  StreamDecoder decoder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

/// Null for a plan without tokenizer.json.
std::shared_ptr<const Tokenizer> tokenizerOf(const Plan &plan) {
  return plan.has("tokenizer.json") ? Tokenizer::open(plan.checkedFile("tokenizer.json")) : nullptr;
}

TextDecoderFactory textOf(std::shared_ptr<const Tokenizer> tokenizer) {
  if (!tokenizer)
    return nullptr;
  return [tokenizer] { return std::make_unique<StreamTextDecoder>(tokenizer); };
}

ModelNeeds needsOf(const Manifest &manifest, int64_t ranks) {
  std::vector<uint64_t> weights;
  for (int64_t rank = 0; rank < ranks; ++rank)
    weights.push_back(rankLayout(manifest, rank, ranks).bytes);
  std::vector<EntryOutputs> outputs;
  for (const Entry &entry : manifest.entries)
    outputs.push_back(entry.outputs);
  return {manifest.context, stateShapesOf(manifest), std::move(weights), manifest.arenaBytesPerToken, std::move(outputs)};
}

} // namespace

StateShapes stateShapesOf(const Manifest &manifest) {
  StateShapes shapes;
  for (const StateEntry &s : manifest.states)
    shapes.states.push_back({s.layers, s.heads, s.kvHeads, s.headDim, s.type, s.kind, s.features});
  return shapes;
}

StepModel loadStepModel(const Plan &plan, const std::string &target, int64_t context, int64_t rank, int64_t ranks,
                        std::atomic<uint64_t> *progress) {
  const Manifest &manifest = plan.manifest();
  std::string code = "code/" + chooseTarget(manifest.targets, hostTargets(), target, plan.directory().string()) + ".so";
  std::shared_ptr<Loaded> loaded(new Loaded{CodeLibrary(plan.checkedFile(code)),
                                            RankWeights::load(plan, rank, ranks, {.progress = progress}),
                                            RopeTables(manifest.ropes, context)});
  StepModel model;
  for (const Entry &entry : manifest.entries)
    model.entries.push_back({entry.name, loaded->code.entry(entry.name), entry.outputs, entry.states});
  const Entry *logits = logitsEntry(manifest);
  model.logits = logits ? logits - manifest.entries.data() : -1;
  model.weights = loaded->weights.data();
  model.weightOffsets = loaded->weights.offsets().data();
  model.ropes = loaded->ropes.data();
  model.ropeOffsets = loaded->ropes.offsets().data();
  model.vocabulary = manifest.vocabulary;
  model.tokenTypes = manifest.tokenTypes;
  model.arenaBytesPerToken = manifest.arenaBytesPerToken;
  model.context = context;
  model.kv = stateShapesOf(manifest);
  model.endOfText = manifest.endOfText;
  model.owner = std::move(loaded);
  return model;
}

void checkSamePlan(Communicator &group, const std::string &key, const std::string &problem) {
  std::vector<std::string> keys = gatherStrings(group, key), problems = gatherStrings(group, problem);
  std::vector<std::string> hosts = gatherStrings(group, hostName());
  for (size_t r = 0; r < keys.size(); ++r) {
    std::string where = "rank " + std::to_string(r) + " on host " + hosts[r];
    if (!problems[r].empty())
      throw std::runtime_error(where + ": " + problems[r]);
    if (keys[r] != keys[0])
      throw std::runtime_error(where + " has another plan (" + keys[r].substr(0, 12) + ") than rank 0 (" + keys[0].substr(0, 12) +
                               "); copy the same plan to the same path on every host");
  }
}

Engine::Engine(const Plan &plan, const EngineOptions &options, Communicator &group, std::shared_ptr<const Tokenizer> tokenizer) {
  const Manifest &manifest = plan.manifest();
  if (group.size() > 1)
    checkSamePlan(group, manifest.key);
  EngineSettings settings = agree(options, needsOf(manifest, group.size()), group);
  StepModel model = loadStepModel(plan, options.target, settings.context, group.rank(), group.size(), &group.progress());
  if (group.rank() == 0 && !tokenizer)
    tokenizer = tokenizerOf(plan);
  impl_ = std::make_unique<Impl>(model, settings, options.threads, group, textOf(std::move(tokenizer)));
  group.meet(); // or the first step would wait for a rank that reads from a slow disk
}

} // namespace heddle
