#include "runtime/scheduler/Scheduler.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <random>

using namespace heddle;

namespace {

std::vector<std::pair<int64_t, int64_t>> workOf(const Schedule &s) {
  std::vector<std::pair<int64_t, int64_t>> work;
  for (auto [request, tokens] : s.work)
    work.emplace_back(request, tokens);
  return work;
}
using Work = std::vector<std::pair<int64_t, int64_t>>;

TEST(Scheduler, DecodesFirstThenPromptsInOrderOfArrival) {
  std::vector<RequestState> requests = {{100, 40, 1}, {21, 20, 1}, {300, 0, 0}, {9, 8, 1}};
  EXPECT_EQ(workOf(schedule(requests, 100, {512, 64})), (Work{{0, 60}, {1, 1}, {2, 300}, {3, 1}}));
  EXPECT_EQ(workOf(schedule(requests, 100, {50, 64})), (Work{{0, 48}, {1, 1}, {3, 1}}));
  EXPECT_EQ(workOf(schedule(requests, 100, {64, 64})), (Work{{0, 60}, {1, 1}, {2, 2}, {3, 1}}));
  EXPECT_EQ(workOf(schedule(requests, 100, {1, 64})), (Work{{1, 1}}));
  EXPECT_TRUE(schedule({}, 100, {512, 64}).work.empty());
}

TEST(Scheduler, WithoutARowOfLogitsTheLastKnownTokenWaits) {
  std::vector<RequestState> requests = {{100, 40, 1}, {21, 20, 1}, {300, 0, 0}, {9, 8, 1}, {1, 0, 0}};
  EXPECT_EQ(workOf(schedule(requests, 100, {512, 64, 5})), (Work{{0, 60}, {1, 1}, {2, 300}, {3, 1}, {4, 1}}));
  EXPECT_EQ(workOf(schedule(requests, 100, {512, 64, 3})), (Work{{0, 60}, {1, 1}, {2, 299}, {3, 1}}));
  EXPECT_EQ(workOf(schedule(requests, 100, {512, 64, 1})), (Work{{0, 59}, {1, 1}, {2, 299}}));
  EXPECT_EQ(workOf(schedule(requests, 100, {3, 64, 1})), (Work{{0, 2}, {1, 1}})) << "a part of a prompt needs none";
}

TEST(Scheduler, WhoeverIsPreemptedGivesItsRowBack) {
  std::vector<RequestState> requests = {{10, 0, 0}, {30, 29, 1}};
  Schedule s = schedule(requests, 0, {512, 64, 1});
  EXPECT_EQ(s.preempted, std::vector<int64_t>({1}));
  EXPECT_EQ(workOf(s), (Work{{0, 9}})) << "the row was taken when it was asked for";
}

TEST(Scheduler, TheYoungestGivesItsPagesBack) {
  std::vector<RequestState> requests = {{65, 64, 1}, {30, 29, 1}, {40, 39, 1}};
  Schedule s = schedule(requests, 0, {512, 64});
  EXPECT_EQ(s.preempted, std::vector<int64_t>({2}));
  EXPECT_EQ(workOf(s), (Work{{0, 1}, {1, 1}}));
}

TEST(Scheduler, AmongOldersTheYoungestWaits) {
  std::vector<RequestState> requests = {{30, 29, 1}, {65, 64, 1}};
  Schedule s = schedule(requests, 0, {512, 64});
  EXPECT_TRUE(s.preempted.empty());
  EXPECT_EQ(workOf(s), (Work{{0, 1}}));
}

TEST(Scheduler, AChunkShrinksToThePagesThereAre) {
  std::vector<RequestState> requests = {{30, 29, 1}, {500, 10, 1}};
  EXPECT_EQ(workOf(schedule(requests, 2, {512, 64})), (Work{{0, 1}, {1, 182}}));
}

TEST(Scheduler, NothingStartsWithoutPagesForAllItKnowsAndNothingOvertakes) {
  std::vector<RequestState> requests = {{30, 29, 1}, {500, 0, 0}, {5, 0, 0}};
  EXPECT_EQ(workOf(schedule(requests, 7, {512, 64})), (Work{{0, 1}}));
  EXPECT_EQ(workOf(schedule(requests, 8, {512, 64})), (Work{{0, 1}, {1, 500}}));
  EXPECT_EQ(workOf(schedule(requests, 9, {512, 64})), (Work{{0, 1}, {1, 500}, {2, 5}}));
}

/// Lives the life of random workloads under the scheduler and checks what must always hold.
TEST(Scheduler, PagesThatOthersHoldTooDoNotComeFree) {
  std::vector<RequestState> requests = {{65, 64, 1}, {30, 29, 1, 0}, {90, 89, 2, 2}};
  Schedule s = schedule(requests, 0, {512, 64});
  EXPECT_EQ(s.preempted, (std::vector<int64_t>{2, 1})) << "2 gives nothing back";
  EXPECT_EQ(workOf(s), (Work{{0, 1}}));
}

TEST(Scheduler, AWaitingRequestStartsLikeOneThatHoldsNothing) {
  RequestState waiting{129, 128, 2, 2, true};
  EXPECT_EQ(workOf(schedule(std::vector{waiting}, 1, {512, 64})), (Work{{0, 1}}));
  EXPECT_TRUE(schedule(std::vector{waiting}, 0, {512, 64}).work.empty());
  std::vector<RequestState> behind = {{400, 0, 0}, waiting};
  EXPECT_TRUE(schedule(behind, 4, {512, 64}).work.empty()) << "one token short is no reason to overtake";
}

TEST(Scheduler, RandomWorkloadsFinishWithinTheirLimits) {
  int64_t preemptions = 0, steps = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    struct Live {
      RequestState state;
      int64_t prompt, wanted;
    };
    std::vector<Live> live;
    int64_t pageTokens = 1 + random() % 16, total = 1 + random() % 24, capacity = pageTokens * total;
    SchedulerLimits limits{static_cast<int64_t>(1 + random() % 40), pageTokens, static_cast<int64_t>(1 + random() % 24)};
    int64_t toArrive = 1 + random() % 20, free = total, idleSteps = 0;
    for (int64_t step = 0; toArrive > 0 || !live.empty(); ++step) {
      ASSERT_LT(step, 200000) << "seed " << seed << " does not end";
      while (toArrive > 0 && (live.empty() || random() % 4 == 0)) {
        int64_t prompt = 1 + random() % capacity, wanted = 1 + random() % (capacity - prompt + 1);
        live.push_back({{prompt, 0, 0}, prompt, wanted});
        --toArrive;
      }
      std::vector<RequestState> states;
      for (const Live &l : live)
        states.push_back(l.state);
      Schedule s = schedule(states, free, limits);
      Schedule again = schedule(states, free, limits);
      ASSERT_EQ(s.preempted, again.preempted);
      ASSERT_EQ(workOf(s), workOf(again));

      int64_t used = 0, rows = 0, last = -1;
      for (int64_t p : s.preempted) {
        ASSERT_GT(live[p].state.pages, 0);
        free += live[p].state.pages;
        live[p].state.pages = live[p].state.computed = 0;
        ++preemptions;
        for (auto [request, tokens] : s.work)
          ASSERT_LT(request, p) << "only younger ones than those that work are preempted";
      }
      for (auto [request, tokens] : s.work) {
        ASSERT_GT(request, last);
        last = request;
        RequestState &state = live[request].state;
        ASSERT_GT(tokens, 0);
        ASSERT_LE(state.computed + tokens, state.known);
        used += tokens;
        state.computed += tokens;
        int64_t needed = std::max<int64_t>(0, (state.computed + pageTokens - 1) / pageTokens - state.pages);
        state.pages += needed;
        free -= needed;
        ASSERT_GE(free, 0) << "seed " << seed;
        rows += state.computed == state.known;
        if (state.computed == state.known && --live[request].wanted > 0)
          ++state.known;
      }
      ASSERT_LE(used, limits.tokenBudget);
      ASSERT_LE(rows, limits.rows);
      bool oldestMoved = !s.work.empty() && s.work[0].request == 0;
      ASSERT_TRUE(oldestMoved || used == limits.tokenBudget || rows == limits.rows) << "seed " << seed << ": the oldest waits";
      idleSteps += s.work.empty();
      for (size_t i = live.size(); i-- > 0;)
        if (live[i].wanted == 0) {
          free += live[i].state.pages;
          live.erase(live.begin() + static_cast<int64_t>(i));
        }
      ++steps;
    }
    ASSERT_EQ(idleSteps, 0);
    ASSERT_EQ(free, total);
  }
  EXPECT_GT(preemptions, 200);
  EXPECT_GT(steps, 5000);
}

} // namespace
