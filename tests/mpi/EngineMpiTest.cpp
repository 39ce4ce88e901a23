// The engine over real MPI ranks gives what one rank gives, and its followers stop with it.
#include "tests/mpi/MpiMain.h"
#include "tests/unit/engine/EngineHarness.h"
#include <gtest/gtest.h>

using namespace heddle;
using namespace heddle::test;

namespace {

std::vector<Request> requests() {
  std::vector<Request> all;
  for (uint64_t id = 0; id < 5; ++id) {
    Request r{id, promptOf(1 + static_cast<int64_t>(id) * 60, id), {}};
    r.sampling.maxTokens = 12;
    r.sampling.temperature = id % 2 ? 0.9 : 0;
    r.sampling.seed = id;
    r.sampling.logprobs = 2;
    r.sampling.ignoreEnd = true;
    all.push_back(r);
  }
  return all;
}

TEST(EngineOverMpi, GivesWhatOneRankGives) {
  Communicator &group = mpiGroup();
  StepModel model = fakeModel();
  for (int64_t threads : {1, 2}) {
    Engine engine(model, {.threads = threads, .tokenBudget = 50}, group);
    if (group.rank() != 0) {
      engine.follow();
      continue;
    }
    auto got = runAll(engine, requests());
    auto self = makeSelfCommunicator();
    Engine single(model, {}, *self);
    auto want = runAll(single, requests());
    for (auto &[id, outcome] : want) {
      EXPECT_EQ(idsOf(got[id]), idsOf(outcome)) << id;
      for (size_t i = 0; i < outcome.tokens.size() && i < got[id].tokens.size(); ++i)
        EXPECT_EQ(got[id].tokens[i].logprob, outcome.tokens[i].logprob);
    }
  }
}

TEST(EngineOverMpi, EvaluateGivesTheSameBits) {
  Communicator &group = mpiGroup();
  StepModel model = fakeModel();
  Engine engine(model, {}, group);
  if (group.rank() != 0)
    return engine.follow();
  auto self = makeSelfCommunicator();
  Engine single(model, {}, *self);
  std::vector<std::vector<float>> want;
  std::vector<int32_t> tokens = promptOf(150, 3);
  single.evaluate(tokens, 150, [&](int64_t, const float *row) { want.emplace_back(row, row + 2500); });
  engine.evaluate(tokens, 64, [&](int64_t position, const float *row) {
    EXPECT_EQ(std::vector<float>(row, row + 2500), want[position]) << position;
  });
}

} // namespace
