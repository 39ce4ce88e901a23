//===- GroupSessionTest.cpp - run, eval and bench over a group ------------------------------------------------------===//
#include "services/frontend/GroupSession.h"
#include "runtime/host/ProcFs.h"
#include "tests/e2e/services/ServerProcess.h"
#include "tests/unit/services/TinyModel.h"
#include <csignal>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace heddle;
using namespace heddle::test;

namespace {

class GroupSessionTest : public testing::Test {
protected:
  GroupOptions options(int64_t ranks) {
    GroupOptions options;
    options.plan = plan.path();
    options.ranks = ranks;
    options.threads = 1;
    options.worker = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "heddle-fake-worker";
    return options;
  }
  static std::vector<pid_t> groupOfThisProcess() { return processesOf("heddle-link-" + std::to_string(getpid()) + "-"); }
  static Request request(const std::string &text, int64_t maxTokens) {
    Request request{42, {}, {}};
    for (char letter : text)
      request.prompt.push_back(idOf(letter));
    request.sampling.maxTokens = maxTokens;
    request.sampling.seed = 1;
    return request;
  }
  static std::string textOf(GroupSession &session, const Request &request) {
    std::string text;
    session.generate(request, [&](const Event &event) {
      EXPECT_EQ(event.request, request.id);
      text += event.text;
      return true;
    });
    return text;
  }
  void TearDown() override { EXPECT_TRUE(groupOfThisProcess().empty()) << "a session left processes behind"; }

  FakePlan plan;
};

TEST_F(GroupSessionTest, GeneratesOverAnyNumberOfRanks) {
  for (int64_t ranks : {1, 2, 3, 5}) {
    GroupSession session(options(ranks), "tiny-plan-key");
    EXPECT_EQ(groupOfThisProcess().size(), static_cast<size_t>(ranks) + 1);
    EXPECT_EQ(session.context(), kModelContext);
    EXPECT_EQ(textOf(session, request("k", 6)), "lmnopq") << ranks << " ranks";
    EXPECT_EQ(textOf(session, request("x", 3)), "yza");
  }
}

TEST_F(GroupSessionTest, FalseFromTheCallbackCancels) {
  GroupSession session(options(2), "tiny-plan-key");
  std::vector<StopReason> stops;
  auto keep = [&](const Event &event) {
    stops.push_back(event.stop);
    return stops.size() < 3;
  };
  session.generate(request("a", 500), keep);
  EXPECT_EQ(stops, (std::vector{StopReason::None, StopReason::None, StopReason::None, StopReason::Cancelled}));
  EXPECT_EQ(textOf(session, request("b", 2)), "cd") << "and the session goes on";
}

TEST_F(GroupSessionTest, WhatIsCancelledFromOutsideEndsAtOnce) {
  GroupSession session(options(2), "tiny-plan-key");
  std::vector<Event> events;
  auto keep = [&](const Event &event) {
    events.push_back(event);
    return true;
  };
  session.generate(request("abc", 500), keep, [] { return true; });
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].stop, StopReason::Cancelled);
  EXPECT_EQ(events[0].promptTokens, 3);
  EXPECT_EQ(textOf(session, request("b", 2)), "cd") << "and the session goes on";
}

TEST_F(GroupSessionTest, WhatTheEngineRefusesIsTheCallers) {
  GroupSession session(options(2), "tiny-plan-key");
  EXPECT_THROW(textOf(session, request("", 3)), std::invalid_argument);
  EXPECT_THROW(session.evaluate({}, 4, [](int64_t, const float *) {}), std::invalid_argument);
  EXPECT_THROW(session.bench({.prompt = 100000}), std::invalid_argument);
  EXPECT_EQ(textOf(session, request("b", 2)), "cd");
}

TEST_F(GroupSessionTest, EvaluateGivesEveryRow) {
  std::vector<int32_t> tokens;
  for (char letter : std::string("heddle lifts each thread"))
    tokens.push_back(idOf(letter));
  GroupSession session(options(3), "tiny-plan-key");
  for (int64_t chunk : {1, 5, 64}) {
    int64_t next = 0;
    session.evaluate(tokens, chunk, [&](int64_t position, const float *logits) {
      ASSERT_EQ(position, next++);
      int32_t letter = tokens[static_cast<size_t>(position)];
      int32_t after = letter >= idOf('a') && letter < idOf('z') ? letter + 1 : idOf('a');
      for (int32_t id = 0; id < kVocabulary; ++id)
        ASSERT_EQ(logits[id], id == after ? 8.0f : static_cast<float>(id % 7) * 0.25f);
    });
    EXPECT_EQ(next, static_cast<int64_t>(tokens.size()));
  }
}

TEST_F(GroupSessionTest, BenchGivesFigures) {
  GroupSession session(options(2), "tiny-plan-key");
  BenchFigures figures = session.bench({.prompt = 64, .tokens = 16, .parallel = 2, .repeat = 3});
  ASSERT_EQ(figures.prefillTokensPerSecond.size(), 3u);
  ASSERT_EQ(figures.decodeTokensPerSecond.size(), 3u);
  for (double figure : figures.decodeTokensPerSecond)
    EXPECT_GT(figure, 0);
}

TEST_F(GroupSessionTest, ADeadGroupIsAnErrorWithAReason) {
  GroupSession session(options(2), "tiny-plan-key");
  std::string error;
  try {
    session.generate(request("a", 500), [&](const Event &) {
      for (pid_t pid : groupOfThisProcess())
        kill(pid, SIGKILL);
      return true;
    });
  } catch (const GroupError &caught) {
    error = caught.what();
  }
  EXPECT_EQ(error.rfind("the worker group ended: ", 0), 0u) << error;
  EXPECT_THROW(textOf(session, request("b", 2)), GroupError);
}

TEST_F(GroupSessionTest, AWrongPlanIsNamedAndNothingIsLeft) {
  try {
    GroupSession session(options(2), "the-key-of-another-plan");
    FAIL() << "the workers hold another plan";
  } catch (const GroupError &error) {
    EXPECT_NE(std::string(error.what()).find("the workers' plan has key tiny-plan-ke, the frontend's the-key-of-a"),
              std::string::npos)
        << error.what();
  }
}

} // namespace
