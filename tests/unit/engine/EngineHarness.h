//===- EngineHarness.h - an engine over threads as ranks -------------------------------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "runtime/engine/OutputText.h"
#include "tests/unit/engine/FakeModel.h"
#include <functional>
#include <map>
#include <thread>

namespace heddle::test {

/// Runs `body` with rank 0's engine while the other ranks, threads of their own, follow.
inline void withEngine(const StepModel &model, const EngineOptions &options, int64_t ranks, const TextDecoderFactory &text,
                       const std::function<void(Engine &)> &body) {
  auto group = makeThreadCommunicators(ranks);
  std::vector<std::jthread> others;
  for (int64_t r = 1; r < ranks; ++r)
    others.emplace_back([&, rank = std::move(group[r])] {
      Engine engine(model, options, *rank);
      engine.follow();
    });
  Engine engine(model, options, *group[0], text);
  body(engine);
}

/// A request's events put together.
struct Outcome {
  std::vector<TokenResult> tokens;
  std::string text;
  Event last;
};
inline void collect(std::vector<Event> events, std::map<uint64_t, Outcome> &outcomes) {
  for (Event &event : events) {
    Outcome &outcome = outcomes[event.request];
    outcome.tokens.insert(outcome.tokens.end(), event.tokens.begin(), event.tokens.end());
    outcome.text += event.text;
    outcome.last = std::move(event);
  }
}
inline std::map<uint64_t, Outcome> runAll(Engine &engine, const std::vector<Request> &requests) {
  std::map<uint64_t, Outcome> outcomes;
  for (const Request &request : requests)
    engine.submit(request);
  while (!engine.idle())
    collect(engine.step(), outcomes);
  return outcomes;
}

inline std::vector<int32_t> idsOf(const Outcome &outcome) {
  std::vector<int32_t> ids;
  for (const TokenResult &token : outcome.tokens)
    ids.push_back(token.token);
  return ids;
}

/// Some text as token ids of the fake model, a function of `seed`.
inline std::vector<int32_t> promptOf(int64_t length, uint64_t seed, int64_t vocabulary = 2500) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < length; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    ids.push_back(static_cast<int32_t>((seed >> 33) % vocabulary));
  }
  return ids;
}

} // namespace heddle::test
