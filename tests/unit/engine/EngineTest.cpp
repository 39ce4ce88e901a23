// Requests together give what they give alone; stops, errors and limits of a request.
#include "runtime/engine/LogSoftmax.h"
#include "tests/unit/engine/EngineHarness.h"
#include <bit>
#include <gtest/gtest.h>

using namespace heddle;
using namespace heddle::test;

namespace {

/// Eight requests of all sorts. Long ones need several pages, so that little memory forces preemption.
std::vector<Request> mixedRequests() {
  std::vector<Request> requests;
  for (uint64_t id = 0; id < 8; ++id) {
    Request r{id + 100, promptOf(1 + static_cast<int64_t>(id * id * 5 % 211), id), {}};
    r.sampling.maxTokens = 5 + static_cast<int64_t>(id * 37 % 90);
    r.sampling.logprobs = static_cast<int64_t>(id % 4);
    r.sampling.ignoreEnd = true;
    if (id % 2)
      r.sampling.temperature = 0.7 + 0.1 * static_cast<double>(id);
    if (id % 3 == 0)
      r.sampling.repeatPenalty = 1.3;
    if (id == 3)
      r.sampling.topK = 20, r.sampling.topP = 0.9;
    if (id == 5)
      r.sampling.topP = 0.5, r.sampling.minP = 0.001;
    r.sampling.seed = id * 1000 + 1;
    requests.push_back(r);
  }
  return requests;
}

void expectSame(const Outcome &got, const Outcome &want, const std::string &what) {
  ASSERT_EQ(idsOf(got), idsOf(want)) << what;
  EXPECT_EQ(got.last.stop, want.last.stop) << what;
  for (size_t i = 0; i < want.tokens.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(got.tokens[i].logprob), std::bit_cast<uint32_t>(want.tokens[i].logprob)) << what;
    ASSERT_EQ(got.tokens[i].best.size(), want.tokens[i].best.size());
    for (size_t b = 0; b < want.tokens[i].best.size(); ++b) {
      ASSERT_EQ(got.tokens[i].best[b].token, want.tokens[i].best[b].token) << what;
      ASSERT_EQ(std::bit_cast<uint32_t>(got.tokens[i].best[b].logprob), std::bit_cast<uint32_t>(want.tokens[i].best[b].logprob));
    }
  }
}

/// Each request alone, one rank, one thread, a token at a time.
const std::map<uint64_t, Outcome> &alone() {
  static const std::map<uint64_t, Outcome> result = [] {
    std::map<uint64_t, Outcome> all;
    for (const Request &request : mixedRequests())
      withEngine(fakeModel(), {.tokenBudget = 1}, 1, nullptr, [&](Engine &engine) { all.merge(runAll(engine, {request})); });
    return all;
  }();
  return result;
}

struct Setting {
  int64_t ranks, threads, budget, pages;
}; // pages: 0 = plenty
void PrintTo(const Setting &s, std::ostream *out) {
  *out << s.ranks << " ranks, " << s.threads << " threads, budget " << s.budget << ", pages " << s.pages;
}

class Together : public testing::TestWithParam<Setting> {};

TEST_P(Together, GivesWhatEachGivesAlone) {
  auto [ranks, threads, budget, pages] = GetParam();
  StepModel model = fakeModel();
  EngineOptions options{.threads = threads, .context = pages ? 320 : 1024, .tokenBudget = budget};
  options.kvBytes = static_cast<uint64_t>(pages) * model.kv.wholePageBytes();
  withEngine(model, options, ranks, nullptr, [&, pages = pages](Engine &engine) {
    auto together = runAll(engine, mixedRequests());
    ASSERT_EQ(together.size(), 8u);
    for (auto &[id, outcome] : together)
      expectSame(outcome, alone().at(id), "request " + std::to_string(id));
    EngineStats stats = engine.stats();
    EXPECT_EQ(stats.freePages, stats.pages) << "pages got lost";
    if (pages) {
      EXPECT_EQ(stats.pages, pages);
      EXPECT_GT(stats.preemptions, 0) << "this setting is there to preempt";
    }
  });
}
INSTANTIATE_TEST_SUITE_P(Settings, Together,
                         testing::Values(Setting{1, 1, 512, 0}, Setting{1, 2, 512, 0}, Setting{1, 3, 7, 0}, Setting{2, 1, 512, 0},
                                         Setting{2, 2, 33, 0}, Setting{3, 1, 64, 0}, Setting{5, 1, 512, 0}, Setting{7, 1, 100, 0},
                                         Setting{1, 1, 512, 5}, Setting{1, 1, 24, 5}, Setting{2, 1, 40, 6},
                                         Setting{3, 2, 512, 5}));

TEST(Engine, RequestsThatArriveWhileOthersRunGiveTheSame) {
  withEngine(fakeModel(), {.tokenBudget = 48}, 2, nullptr, [&](Engine &engine) {
    std::vector<Request> requests = mixedRequests();
    std::map<uint64_t, Outcome> outcomes;
    for (size_t step = 0, next = 0; next < requests.size() || !engine.idle(); ++step) {
      if (step % 5 == 0 && next < requests.size())
        engine.submit(requests[next++]);
      collect(engine.step(), outcomes);
    }
    for (auto &[id, outcome] : outcomes)
      expectSame(outcome, alone().at(id), "request " + std::to_string(id));
  });
}

/// Turns of several conversations that share their beginnings: each turn's prompt is the one before, its answer and something
/// new.
class Conversations : public testing::TestWithParam<Setting> {};

TEST_P(Conversations, GiveTheSameBitsWhenBeginningsAreTakenOver) {
  auto [ranks, threads, budget, pages] = GetParam();
  StepModel model = fakeModel();
  EngineOptions options{.threads = threads, .context = pages ? 320 : 1024, .tokenBudget = budget};
  options.kvBytes = static_cast<uint64_t>(pages) * model.kv.wholePageBytes();
  std::vector<int32_t> system = promptOf(70, 1);
  int64_t cached = 0;
  withEngine(model, options, ranks, nullptr, [&](Engine &engine) {
    std::vector<std::vector<int32_t>> conversations(4, system);
    uint64_t id = 0;
    for (int turn = 0; turn < 4; ++turn) {
      std::vector<Request> requests;
      for (size_t c = 0; c < conversations.size(); ++c) {
        std::vector<int32_t> said = promptOf(5 + 7 * static_cast<int64_t>(c), 10 * static_cast<uint64_t>(turn) + c % 3);
        conversations[c].insert(conversations[c].end(), said.begin(), said.end());
        Request request{++id, conversations[c], {}};
        request.sampling.maxTokens = 9;
        request.sampling.logprobs = 3;
        request.sampling.ignoreEnd = true;
        request.sampling.temperature = c % 2 ? 0.9 : 0;
        request.sampling.seed = c;
        requests.push_back(request);
      }
      auto outcomes = runAll(engine, requests);
      for (size_t c = 0; c < conversations.size(); ++c) {
        Request fresh = requests[c];
        fresh.reuse = false;
        withEngine(model, {}, 1, nullptr, [&](Engine &plain) {
          expectSame(outcomes.at(fresh.id), runAll(plain, {fresh}).at(fresh.id), "turn " + std::to_string(turn));
        });
        cached += outcomes.at(fresh.id).last.cachedTokens;
        EXPECT_LT(outcomes.at(fresh.id).last.cachedTokens, static_cast<int64_t>(fresh.prompt.size()));
        std::vector<int32_t> answer = idsOf(outcomes.at(fresh.id));
        conversations[c].insert(conversations[c].end(), answer.begin(), answer.end());
      }
    }
    EXPECT_EQ(engine.stats().freePages, engine.stats().pages);
  });
  EXPECT_GT(cached, 0);
}
INSTANTIATE_TEST_SUITE_P(Settings, Conversations,
                         testing::Values(Setting{1, 1, 512, 0}, Setting{2, 2, 33, 0}, Setting{3, 1, 512, 0},
                                         Setting{1, 1, 512, 5}, Setting{2, 1, 24, 6}));

TEST(Engine, ASecondTurnComputesOnlyWhatIsNew) {
  withEngine(fakeModel(), {}, 1, nullptr, [&](Engine &engine) {
    Request first{1, promptOf(200, 3), {}};
    first.sampling.maxTokens = 30;
    first.sampling.ignoreEnd = true;
    Outcome answer = runAll(engine, {first}).at(1);
    EXPECT_EQ(answer.last.cachedTokens, 0);
    EXPECT_EQ(engine.stats().computedTokens, 200 + 29) << "nobody needs what comes after the last token";
    Request second = first;
    second.id = 2;
    for (int32_t id : idsOf(answer))
      second.prompt.push_back(id);
    second.prompt.push_back(17);
    second.prompt.push_back(18);
    second.sampling.maxTokens = 1;
    EXPECT_EQ(runAll(engine, {second}).at(2).last.cachedTokens, 229);
    EXPECT_EQ(engine.stats().computedTokens, 229 + 3) << "the answer's last token, 17 and 18";
    second.id = 3;
    EXPECT_EQ(runAll(engine, {second}).at(3).last.cachedTokens, 231) << "the last token of a prompt is always computed";
    second.id = 4;
    second.reuse = false;
    EXPECT_EQ(runAll(engine, {second}).at(4).last.cachedTokens, 0);
  });
}

/// The fake model's values hold no NaN themselves, so this is about the rule: a failed request leaves nothing behind.
/// A cache of 20 pages, 10 of which a system prompt has left. While an answer runs, a request that fits in the rest starts at
/// once, however many with that beginning wait behind it.
TEST(Engine, RequestsThatWaitWithOneBeginningKeepNothingFromOlderOnes) {
  StepModel model = fakeModel();
  for (int waiting : {1, 2, 3}) {
    auto group = makeSelfCommunicator();
    EngineOptions options;
    options.tokenBudget = 2048;
    options.kvBytes = 20 * model.kv.wholePageBytes();
    Engine engine(model, options, *group);
    auto request = [](uint64_t id, std::vector<int32_t> prompt, int64_t tokens) {
      Request out{id, std::move(prompt), {}};
      out.sampling.maxTokens = tokens;
      out.sampling.ignoreEnd = true;
      return out;
    };
    const std::vector<int32_t> system = promptOf(640, 1);
    runAll(engine, {request(1, system, 2)});
    engine.submit(request(2, promptOf(192, 2), 200)); // runs all the time
    for (int i = 0; i < 3; ++i)
      engine.step();
    engine.submit(request(3, promptOf(448, 3), 4)); // 7 pages
    for (int i = 0; i < waiting; ++i) {
      std::vector<int32_t> prompt = system;
      for (int32_t token : promptOf(20, 10 + i))
        prompt.push_back(token);
      engine.submit(request(4 + static_cast<uint64_t>(i), prompt, 4));
    }
    std::map<uint64_t, int> first; // step of each request's first token
    for (int step = 1; step < 20; ++step)
      for (const Event &event : engine.step())
        if (!event.tokens.empty())
          first.try_emplace(event.request, step);
    EXPECT_EQ(first[3], 1) << waiting;
    EXPECT_EQ(first[4], 5) << waiting << ": when 3 has given its four";
  }
}

TEST(Engine, AFailedRequestLeavesNothing) {
  withEngine(fakeModel({.nonFiniteAfter = 5}), {}, 1, nullptr, [&](Engine &engine) {
    Request request{1, promptOf(100, 3), {}};
    request.prompt.back() = 5;
    EXPECT_EQ(runAll(engine, {request}).at(1).last.stop, StopReason::Error);
    request.id = 2;
    request.prompt.back() = 6;
    request.sampling.maxTokens = 1;
    EXPECT_EQ(runAll(engine, {request}).at(2).last.cachedTokens, 0);
  });
}

/// Waiting requests hold what they will take over; together that must not be what the first of them lacks.
TEST(Engine, RequestsThatNeedTheWholeCacheAllGetThere) {
  StepModel model = fakeModel();
  EngineOptions options{.context = 256};
  options.kvBytes = 4 * model.kv.wholePageBytes();
  withEngine(model, options, 1, nullptr, [&](Engine &engine) {
    std::map<uint64_t, Outcome> outcomes;
    for (int round = 0; round < 3; ++round) {
      std::vector<Request> requests;
      for (uint64_t i = 0; i < 4; ++i) {
        std::vector<int32_t> prompt = promptOf(30 + 20 * static_cast<int64_t>(i), i % 2);
        std::vector<int32_t> rest = promptOf(245 - static_cast<int64_t>(prompt.size()), i + 10 * static_cast<uint64_t>(round));
        prompt.insert(prompt.end(), rest.begin(), rest.end());
        Request request{static_cast<uint64_t>(round) * 10 + i, prompt, {}};
        request.sampling.maxTokens = 5;
        request.sampling.ignoreEnd = true;
        requests.push_back(request);
      }
      for (const Request &request : requests)
        engine.submit(request);
      int steps = 0;
      for (; !engine.idle() && steps < 1000; ++steps)
        collect(engine.step(), outcomes);
      ASSERT_LT(steps, 1000) << "the requests block one another";
    }
    EXPECT_EQ(outcomes.size(), 12u);
  });
}

TEST(Engine, EvaluateGivesTheSameBitsInAnyChunksAndOnAnyRanks) {
  std::vector<int32_t> tokens = promptOf(333, 9);
  std::vector<std::vector<float>> want;
  withEngine(fakeModel(), {}, 1, nullptr, [&](Engine &engine) {
    engine.evaluate(tokens, 1, [&](int64_t position, const float *row) {
      ASSERT_EQ(position, static_cast<int64_t>(want.size()));
      want.emplace_back(row, row + 2500);
    });
  });
  ASSERT_EQ(want.size(), tokens.size());
  for (int64_t ranks : {1, 2, 3, 5})
    for (int64_t chunk : {7, 64, 512})
      withEngine(fakeModel(), {.threads = 1 + ranks % 2, .tokenBudget = 32}, ranks, nullptr, [&](Engine &engine) {
        size_t rows = 0;
        engine.evaluate(tokens, chunk, [&](int64_t position, const float *row) {
          ++rows;
          EXPECT_EQ(std::vector<float>(row, row + 2500), want[position]) << "ranks " << ranks << " chunk " << chunk;
        });
        EXPECT_EQ(rows, tokens.size());
      });
}

/// A row of logits of 16 MiB, of which a step has room for 16: more requests than that take turns.
TEST(Engine, StepsHaveRoomForAFewHugeRowsOfLogits) {
  std::vector<Request> requests;
  for (uint64_t id = 1; id <= 40; ++id) {
    requests.push_back({id, promptOf(3, id), {}});
    requests.back().sampling.maxTokens = 5;
    requests.back().sampling.ignoreEnd = true;
  }
  std::vector<int32_t> text = promptOf(40, 9);
  std::map<uint64_t, Outcome> want;
  std::vector<std::vector<float>> rows;
  withEngine(fakeModel(), {}, 1, nullptr, [&](Engine &engine) {
    want = runAll(engine, requests);
    EXPECT_EQ(engine.stats().steps, 5);
    engine.evaluate(text, 40, [&](int64_t, const float *row) { rows.emplace_back(row, row + 2500); });
    EXPECT_EQ(engine.stats().steps, 6);
  });
  StepModel huge = fakeModel({.stride = 1 << 22});
  for (int64_t ranks : {1, 2})
    withEngine(huge, {}, ranks, nullptr, [&](Engine &engine) {
      std::map<uint64_t, Outcome> got = runAll(engine, requests);
      for (const Request &request : requests)
        expectSame(got[request.id], want[request.id], "request " + std::to_string(request.id));
      int64_t steps = engine.stats().steps;
      EXPECT_GE(steps, 40 * 5 / 16 + 1);
      engine.evaluate(text, 40, [&](int64_t position, const float *row) {
        EXPECT_EQ(std::vector<float>(row, row + 2500), rows[static_cast<size_t>(position)]);
      });
      EXPECT_EQ(engine.stats().steps, steps + 3);
    });
}

TEST(Engine, LogprobsFollowFromEvaluatesRows) {
  Request request{1, promptOf(70, 4), {}};
  request.sampling.maxTokens = 20;
  request.sampling.logprobs = 5;
  request.sampling.ignoreEnd = true;
  withEngine(fakeModel(), {.tokenBudget = 16}, 2, nullptr, [&](Engine &engine) {
    Outcome outcome = runAll(engine, {request}).at(1);
    std::vector<int32_t> all = request.prompt, ids = idsOf(outcome);
    ASSERT_EQ(ids.size(), 20u);
    all.insert(all.end(), ids.begin(), ids.end() - 1);
    engine.evaluate(all, 64, [&](int64_t position, const float *row) {
      if (position < 69)
        return;
      const TokenResult &token = outcome.tokens[position - 69];
      RowScan scan;
      scanRow(row, 2500, scan);
      EXPECT_EQ(token.token, scan.argmax);
      LogNormalizer normalizer = logNormalizer(row, 2500, scan);
      EXPECT_EQ(std::bit_cast<uint32_t>(token.logprob), std::bit_cast<uint32_t>(normalizer.logprob(row[token.token])));
      ASSERT_EQ(token.best.size(), 5u);
      for (const Alternative &other : token.best)
        EXPECT_EQ(std::bit_cast<uint32_t>(other.logprob), std::bit_cast<uint32_t>(normalizer.logprob(row[other.token])));
    });
  });
}

TEST(Engine, NonFiniteLogitsFailThatRequestAlone) {
  FakeModelOptions poisoned;
  poisoned.nonFiniteAfter = 42;
  Request bad{1, {5, 42}, {}}, good{2, {5, 43}, {}};
  bad.sampling.maxTokens = good.sampling.maxTokens = 3;
  withEngine(fakeModel(poisoned), {}, 2, nullptr, [&](Engine &engine) {
    auto outcomes = runAll(engine, {bad, good});
    EXPECT_EQ(outcomes[1].last.stop, StopReason::Error);
    EXPECT_EQ(outcomes[1].last.error,
              "request 1: the logits at position 1 give no token: token id 0 has a logit of NaN; the model's weights "
              "overflow or are damaged: check the file");
    EXPECT_TRUE(outcomes[1].tokens.empty());
    EXPECT_EQ(outcomes[2].last.stop, StopReason::MaxTokens);
    EXPECT_EQ(outcomes[2].tokens.size(), 3u);
  });
}

TEST(Engine, StopsAtTheEndOfTextUnlessToldOtherwise) {
  Request request{1, promptOf(10, 1), {}};
  request.sampling.maxTokens = 6;
  std::vector<int32_t> ids;
  withEngine(fakeModel(), {}, 1, nullptr, [&](Engine &engine) { ids = idsOf(runAll(engine, {request}).at(1)); });
  ASSERT_EQ(ids.size(), 6u);
  FakeModelOptions ending;
  ending.endOfText = ids[3];
  withEngine(fakeModel(ending), {}, 1, nullptr, [&](Engine &engine) {
    Outcome outcome = runAll(engine, {request}).at(1);
    EXPECT_EQ(outcome.last.stop, StopReason::EndOfText);
    EXPECT_EQ(idsOf(outcome), std::vector<int32_t>(ids.begin(), ids.begin() + 4));
    EXPECT_EQ(outcome.last.promptTokens, 10);
    EXPECT_EQ(outcome.last.outputTokens, 4);
    request.sampling.ignoreEnd = true;
    EXPECT_EQ(idsOf(runAll(engine, {request}).at(1)), ids);
  });
}

TEST(Engine, StopsWhenTheContextIsFull) {
  Request request{1, promptOf(90, 1), {}};
  request.sampling.ignoreEnd = true;
  withEngine(fakeModel(), {.context = 100}, 2, nullptr, [&](Engine &engine) {
    EXPECT_EQ(engine.context(), 100);
    Outcome outcome = runAll(engine, {request}).at(1);
    EXPECT_EQ(outcome.last.stop, StopReason::ContextFull);
    EXPECT_EQ(outcome.tokens.size(), 10u);
    EXPECT_EQ(engine.stats().freePages, engine.stats().pages);
  });
}

TEST(Engine, AMissingSeedIsDrawnAndReturned) {
  Request request{1, promptOf(3, 1), {}};
  request.sampling.temperature = 1;
  request.sampling.maxTokens = 12;
  request.sampling.ignoreEnd = true;
  withEngine(fakeModel(), {}, 1, nullptr, [&](Engine &engine) {
    Outcome first = runAll(engine, {request}).at(1), second = runAll(engine, {request}).at(1);
    EXPECT_NE(first.last.seed, second.last.seed);
    EXPECT_NE(idsOf(first), idsOf(second));
    request.sampling.seed = first.last.seed;
    Outcome again = runAll(engine, {request}).at(1);
    EXPECT_EQ(idsOf(again), idsOf(first));
    EXPECT_EQ(again.last.seed, first.last.seed);
  });
}

TEST(Engine, CancelGivesPagesBackAndALastEvent) {
  Request request{1, promptOf(200, 1), {}}, other{2, promptOf(20, 2), {}};
  other.sampling.maxTokens = 4;
  other.sampling.ignoreEnd = true;
  withEngine(fakeModel(), {.tokenBudget = 64}, 2, nullptr, [&](Engine &engine) {
    engine.submit(request);
    engine.step();
    EXPECT_LT(engine.stats().freePages, engine.stats().pages);
    engine.cancel(1);
    engine.cancel(77); // nobody
    EXPECT_EQ(engine.stats().freePages, engine.stats().pages);
    EXPECT_FALSE(engine.idle());
    auto events = engine.step();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].stop, StopReason::Cancelled);
    EXPECT_EQ(events[0].promptTokens, 200);
    EXPECT_TRUE(engine.idle());
    EXPECT_EQ(runAll(engine, {other}).at(2).tokens.size(), 4u);
  });
}

void expectRefused(Engine &engine, const Request &request, const std::string &message) {
  try {
    engine.submit(request);
    FAIL() << "taken, though: " << message;
  } catch (const std::invalid_argument &error) {
    EXPECT_EQ(error.what(), message);
  }
}

TEST(Engine, AStepThatIsLeftIsDoneAgainWithTheSameResult) {
  Request request{1, promptOf(700, 5), {}};
  request.sampling.maxTokens = 20;
  std::vector<int32_t> expected;
  withEngine(fakeModel(), {.threads = 2}, 1, nullptr, [&](Engine &engine) { expected = idsOf(runAll(engine, {request})[1]); });
  std::atomic<bool> flag = false;
  withEngine(fakeModel(), {.threads = 2}, 1, nullptr, [&](Engine &engine) {
    engine.leaveStepsWhile(flag);
    std::map<uint64_t, Outcome> outcomes;
    engine.submit(request);
    for (bool left = false; !engine.idle(); left = !left) {
      flag = left;
      std::vector<Event> events = engine.step();
      EXPECT_TRUE(!left || events.empty());
      collect(std::move(events), outcomes);
    }
    EXPECT_EQ(idsOf(outcomes[1]), expected);
    // Cancelled in the middle of its prompt, it gives all its pages back, and the next is whole.
    engine.submit(request);
    flag = true;
    EXPECT_TRUE(engine.step().empty());
    engine.cancel(1);
    std::vector<Event> last = engine.step();
    ASSERT_EQ(last.size(), 1u);
    EXPECT_EQ(last[0].stop, StopReason::Cancelled);
    EXPECT_EQ(engine.stats().freePages, engine.stats().pages);
    flag = false;
    EXPECT_EQ(idsOf(runAll(engine, {request})[1]), expected);
  });
}

TEST(Engine, RefusesWhatCannotRun) {
  withEngine(fakeModel(), {.context = 100}, 1, nullptr, [&](Engine &engine) {
    expectRefused(engine, {1, {}, {}}, "prompt is empty: it needs at least one token");
    expectRefused(engine, {1, promptOf(150, 1), {}},
                  "the prompt has 150 tokens, but the context of 100 must hold it and at least one token of the answer");
    expectRefused(engine, {1, promptOf(100, 1), {}},
                  "the prompt has 100 tokens, but the context of 100 must hold it and at least one token of the answer");
    expectRefused(engine, {1, {3, 2500}, {}}, "prompt: token 1 is 2500, outside of the vocabulary of 2500");
    expectRefused(engine, {1, {3, -1}, {}}, "prompt: token 1 is -1, outside of the vocabulary of 2500");
    SamplingParams params;
    params.topP = 1.5;
    expectRefused(engine, {1, {3}, params}, "top_p must be in (0, 1], not 1.5");
    params = {};
    params.stop = {"x"};
    expectRefused(engine, {1, {3}, params}, "stop needs a tokenizer, and this model has none");
    EXPECT_TRUE(engine.idle());
    engine.submit({1, promptOf(99, 1), {}});
    expectRefused(engine, {1, {3}, {}}, "request 1 is running already");
    EXPECT_THROW(engine.evaluate({1}, 1, [](int64_t, const float *) {}), std::logic_error);
  });
  withEngine(fakeModel(), {.context = 100}, 2, nullptr, [&](Engine &engine) {
    auto ignore = [](int64_t, const float *) {};
    EXPECT_THROW(engine.evaluate(promptOf(101, 1), 8, ignore), std::invalid_argument);
    EXPECT_THROW(engine.evaluate({}, 8, ignore), std::invalid_argument);
    EXPECT_THROW(engine.evaluate({1}, 0, ignore), std::invalid_argument);
    EXPECT_THROW(engine.evaluate({1, 2}, 1, [](int64_t, const float *) { throw std::runtime_error("disk full"); }),
                 std::runtime_error);
    EXPECT_EQ(engine.stats().freePages, engine.stats().pages);
    engine.evaluate(promptOf(100, 1), 8, ignore);
  });
}

void expectNoEngine(const EngineOptions &options, const std::string &message) {
  StepModel model = fakeModel();
  auto self = makeSelfCommunicator();
  try {
    Engine engine(model, options, *self);
    FAIL() << "made, though: " << message;
  } catch (const std::invalid_argument &error) {
    EXPECT_EQ(error.what(), message);
  }
}

TEST(Engine, RefusesOptionsOutOfRange) {
  expectNoEngine({.threads = 0}, "threads must be in [1, 1024], not 0");
  expectNoEngine({.threads = 1000000}, "threads must be in [1, 1024], not 1000000");
  expectNoEngine({.context = 2000}, "context must be in [1, 1024], not 2000");
  expectNoEngine({.context = -1}, "context must be in [1, 1024], not -1");
  expectNoEngine({.tokenBudget = 0}, "token budget must be in [1, 65536], not 0");
  expectNoEngine({.context = 1024, .kvBytes = 40000}, "a KV memory of 40000 bytes holds 832 positions, fewer than the context of "
                                                      "1024; give it 49152 bytes or lower the context");
}

TEST(Engine, RefusalsReachEveryRank) {
  std::atomic<int> refused = 0;
  auto group = makeThreadCommunicators(3);
  {
    std::vector<std::jthread> ranks;
    for (auto &rank : group)
      ranks.emplace_back([&] {
        StepModel model = fakeModel();
        try {
          Engine engine(model, {.context = 5000}, *rank);
        } catch (const std::invalid_argument &) {
          ++refused;
        }
      });
  }
  EXPECT_EQ(refused, 3);
}

TEST(Engine, ADyingPeerEndsTheStepWithAnError) {
  auto group = makeThreadCommunicators(2);
  StepModel model = fakeModel();
  std::jthread peer([&] {
    {
      Engine engine(model, {}, *group[1]);
    }
    group[1].reset(); // leaves without following
  });
  Engine engine(model, {}, *group[0]);
  engine.submit({1, {3}, {}});
  EXPECT_THROW(engine.step(), CommError);
}

} // namespace
