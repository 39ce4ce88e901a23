//===- Engine.cpp - construction, agreement of the ranks, the public face ---------------------------------------------===//
#include "runtime/engine/Engine.h"
#include "runtime/engine/EngineImpl.h"
#include "runtime/engine/MemoryFit.h"
#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace heddle {
namespace {

constexpr int64_t kDefaultContext = 8192, kLeastContext = 512, kMostThreads = 1024;

void checkOption(bool good, const std::string &message) {
  if (!good)
    throw std::invalid_argument(message);
}

/// By default a quarter of the memory, at most 4 GiB, but a whole context at least. Untouched pages cost nothing.
uint64_t defaultKvBytes(uint64_t contextBytes, uint64_t memory) {
  return std::max(contextBytes, std::min(memory / 4, uint64_t{4} << 30));
}

/// How many rows of logits a step has room for: as many as tokens, but no more than take a small part of the smallest host's
/// memory, as a row can be a megabyte. Requests that find no row wait for a step; 16 have one anywhere.
int64_t rowsOf(const EngineOptions &options, const ModelNeeds &needs, const std::vector<RankMemory> &ranks) {
  constexpr uint64_t kMostBytes = uint64_t{256} << 20;
  constexpr int64_t kLeast = 16;
  uint64_t bytes = kMostBytes;
  for (const RankMemory &rank : ranks)
    bytes = std::min(bytes, rank.memory.total / 64);
  int64_t floats = 1; // of the widest row
  for (const EntryOutputs &outputs : needs.outputs)
    for (const EntryOutput &output : outputs)
      floats = std::max(floats, output.stride);
  auto rows = static_cast<int64_t>(bytes / (static_cast<uint64_t>(floats) * sizeof(float)));
  return std::min(std::max(rows, kLeast), options.tokenBudget);
}

EngineSettings decide(const EngineOptions &options, const ModelNeeds &needs, std::vector<RankMemory> ranks) {
  const int64_t modelContext = needs.context;
  const StateShapes &kv = needs.kv;
  checkOption(options.threads >= 1 && options.threads <= kMostThreads,
              "threads must be in [1, " + std::to_string(kMostThreads) + "], not " + std::to_string(options.threads));
  checkOption(options.context >= 0 && options.context <= modelContext,
              "context must be in [1, " + std::to_string(modelContext) + "], not " + std::to_string(options.context));
  checkOption(options.tokenBudget >= 1 && options.tokenBudget <= kMostTokenBudget,
              "token budget must be in [1, " + std::to_string(kMostTokenBudget) + "], not " +
                  std::to_string(options.tokenBudget));
  int64_t context = options.context ? options.context : std::min(modelContext, kDefaultContext);
  const StepRoom room{options.tokenBudget, rowsOf(options, needs, ranks), context};
  const auto count = static_cast<int64_t>(ranks.size());
  std::vector<uint64_t> fixed = needs.weights;
  for (int64_t r = 0; r < count; ++r)
    fixed[static_cast<size_t>(r)] +=
        static_cast<uint64_t>(stepBytes(room, needs.arenaBytesPerToken, needs.outputs, kv, r, count).all());
  const MemoryFit fit(std::move(ranks), std::move(fixed), kv);
  uint64_t contextBytes = static_cast<uint64_t>(KvCache::pagesFor(context)) * kv.wholePageBytes();
  int64_t pages =
      std::min<int64_t>(kv.pagesIn(options.kvBytes ? options.kvBytes : defaultKvBytes(contextBytes, fit.total())), INT32_MAX);
  if (pages < KvCache::pagesFor(context)) { // only when kvBytes was given
    checkOption(options.context == 0 && pages > 0,
                "a KV memory of " + std::to_string(options.kvBytes) + " bytes holds " + std::to_string(pages * kPageTokens) +
                    " positions, fewer than the context of " + std::to_string(context) + "; give it " +
                    std::to_string(contextBytes) + " bytes or lower the context");
    context = pages * kPageTokens;
  }
  // Whoever says how much gets it or hears why not; the default takes what there is, down to the least that is of any use.
  int64_t least = options.kvBytes ? pages : KvCache::pagesFor(options.context ? context : std::min(context, kLeastContext));
  checkOption(fit.pages() >= least,
              fit.refusal(least, options.kvBytes ? "the KV memory that was asked for"
                                                 : "a KV cache of " + std::to_string(least * kPageTokens) + " tokens"));
  pages = std::min(pages, fit.pages());
  if (!kv.keep())
    pages = KvCache::pagesFor(context); // numbers without memory
  context = std::min(context, pages * kPageTokens);
  return {context, pages, options.tokenBudget, room.rows};
}

} // namespace

EngineSettings agree(const EngineOptions &options, const ModelNeeds &needs, Communicator &group) {
  std::vector<RankMemory> ranks = exchangeMemory(group);
  EngineSettings settings{};
  std::vector<std::byte> message; // the settings, or why there are none, as text
  if (group.rank() == 0) {
    std::string error;
    try {
      settings = decide(options, needs, std::move(ranks));
    } catch (const std::invalid_argument &refused) {
      error = refused.what();
    }
    message.resize(1 + sizeof settings + error.size());
    message[0] = static_cast<std::byte>(error.empty());
    std::memcpy(message.data() + 1, &settings, sizeof settings);
    std::memcpy(message.data() + 1 + sizeof settings, error.data(), error.size());
  }
  group.broadcast(message);
  if (message.size() < 1 + sizeof settings)
    throw StepPlanError("engine settings: the message is cut off; run the same build of Heddle on every host");
  std::memcpy(&settings, message.data() + 1, sizeof settings);
  const char *error = reinterpret_cast<const char *>(message.data()) + 1 + sizeof settings;
  checkOption(message[0] == std::byte{1}, std::string(error, message.size() - 1 - sizeof settings));
  return settings;
}

Engine::Engine(const StepModel &model, const EngineOptions &options, Communicator &group, TextDecoderFactory text)
    : impl_(std::make_unique<Impl>(model,
                                   agree(options,
                                         {model.context, model.kv, std::vector<uint64_t>(static_cast<size_t>(group.size())),
                                          model.arenaBytesPerToken, model.outputs()},
                                         group),
                                   options.threads, group, std::move(text))) {
  group.meet();
}
Engine::~Engine() = default;

void Engine::submit(Request request) { impl_->submit(std::move(request)); }
void Engine::cancel(uint64_t request) { impl_->cancel(request); }
bool Engine::idle() const { return impl_->idle(); }
int64_t Engine::context() const { return impl_->context(); }
int64_t Engine::callSequences() const { return impl_->callSequences(); }
EngineStats Engine::stats() const { return impl_->stats(); }
std::vector<Event> Engine::step() { return impl_->step(); }
void Engine::follow() { impl_->follow(); }
void Engine::evaluate(const std::vector<int32_t> &tokens, int64_t chunk, const std::function<void(int64_t, const float *)> &row) {
  impl_->evaluate(tokens, chunk, row);
}
std::vector<EntryRows> Engine::call(const EntryCall &call) { return impl_->call(call); }
void Engine::fork(uint64_t parent, uint64_t child) { impl_->fork(parent, child); }
void Engine::forget(uint64_t sequence) { impl_->forget(sequence); }
void Engine::leaveStepsWhile(const std::atomic<bool> &flag) { impl_->leaveStepsWhile(flag); }
void Engine::startProfile() { impl_->startProfile(); }
std::vector<KernelTime> Engine::endProfile() { return impl_->endProfile(); }

} // namespace heddle
