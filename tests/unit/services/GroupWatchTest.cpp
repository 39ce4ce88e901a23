//===- GroupWatchTest.cpp - slow and paused groups are kept, hanging ones are not -----------------------------------===//
#include "services/frontend/GroupWatch.h"
#include <gtest/gtest.h>

using namespace heddle;
using namespace std::chrono_literals;

namespace {

/// A frontend that looks once a second at a group whose behaviour the test writes down.
class Watching {
public:
  Watching() {
    watch.launched(now);
    watch.attached();
    watch.ready();
  }
  /// `seconds` looks, each with a heartbeat of a group that gets on by `progress` and uses `cpu` a second.
  void go(int seconds, uint64_t progress, std::chrono::milliseconds cpu, bool busy = true) {
    for (int i = 0; i < seconds && !given; ++i) {
      now += 1s;
      total += cpu;
      counter += progress;
      watch.heartbeat(counter, busy, total);
      look();
    }
  }
  void silence(int seconds) {
    for (int i = 0; i < seconds && !given; ++i) {
      now += 1s;
      look();
    }
  }
  void look() {
    watch.look(now);
    watch.stopped(stopped);
    given = watch.verdict();
  }

  GroupWatch watch{{5s, 120s, 60s}};
  GroupWatch::Time now{};
  std::chrono::nanoseconds total{0};
  uint64_t counter = 0;
  std::optional<GroupWatch::Rank> stopped;
  std::optional<std::string> given;
};

TEST(GroupWatch, AStoppedRankOfAnotherHostIsNamedWithIt) {
  Watching w;
  w.go(3, 1, 1000ms);
  w.stopped = GroupWatch::Rank{3, 77, "node2"};
  w.go(10, 0, 1000ms);
  EXPECT_EQ(w.given, "rank 3 (process 77 on host node2) was stopped for 5 s");
}

TEST(GroupWatch, AStepMayTakeAsLongAsItLikesWhileItGetsOn) {
  Watching w;
  for (int kernel = 0; kernel < 300; ++kernel) { // a kernel every 100 seconds of computing
    w.go(99, 0, 1000ms);
    w.go(1, 1, 1000ms);
  }
  EXPECT_FALSE(w.given) << *w.given;
}

TEST(GroupWatch, ARankWithLittleOfACoreHasAsMuchLonger) {
  Watching w;
  w.go(2300, 0, 50ms); // 5 % of a core: 115 s of computing in 38 minutes, all in one kernel
  EXPECT_FALSE(w.given) << *w.given;
  w.go(200, 0, 50ms);
  EXPECT_EQ(w.given, "an engine step got nowhere in 120 s of computing");
}

TEST(GroupWatch, AStepThatComputesAndGetsNowhereHangs) {
  Watching w;
  w.go(119, 0, 1000ms);
  EXPECT_FALSE(w.given);
  w.go(5, 0, 1000ms);
  EXPECT_EQ(w.given, "an engine step got nowhere in 120 s of computing");
}

TEST(GroupWatch, AStepThatSleepsHangs) {
  Watching w;
  w.go(10, 3, 900ms);
  w.go(119, 0, 0ms);
  EXPECT_FALSE(w.given);
  w.go(5, 0, 0ms);
  EXPECT_EQ(w.given, "an engine step stood still for 120 s");
}

TEST(GroupWatch, LoadingIsWatchedInTheSameWay) {
  Watching w;
  w.watch.launched(w.now);
  w.watch.attached();
  for (int piece = 0; piece < 50; ++piece) { // a slow disk
    w.go(99, 0, 0ms);
    w.go(1, 1, 1ms);
  }
  EXPECT_FALSE(w.given) << *w.given;
  w.go(130, 0, 0ms);
  EXPECT_EQ(w.given, "loading the model stood still for 120 s");
}

TEST(GroupWatch, AnIdleGroupMayBeIdle) {
  Watching w;
  w.go(10000, 0, 0ms, /*busy=*/false);
  EXPECT_FALSE(w.given);
  w.go(119, 0, 0ms); // and a step after a long rest has the whole limit
  EXPECT_FALSE(w.given);
}

TEST(GroupWatch, ASilentRankZeroIsGivenUpAtLast) {
  Watching w;
  w.silence(119);
  EXPECT_FALSE(w.given);
  w.silence(5);
  EXPECT_EQ(w.given, "rank 0 was silent for 120 s");
}

TEST(GroupWatch, AStoppedRankIsGivenUp) {
  Watching w;
  w.stopped = GroupWatch::Rank{1, 77};
  w.go(5, 0, 1000ms);
  EXPECT_FALSE(w.given);
  w.go(2, 0, 1000ms);
  EXPECT_EQ(w.given, "rank 1 (process 77) was stopped for 5 s");
}

TEST(GroupWatch, WhenEverythingWasSuspendedNothingIsGivenUp) {
  for (auto asleep : {4s, 16s, 100000s})
    for (int woken : {0, 1, 10, 25}) { // seconds that the ranks stay stopped after the frontend runs again
      Watching w;
      w.go(20, 10, 900ms);
      w.now += asleep;
      w.stopped = woken ? std::optional(GroupWatch::Rank{0, 7}) : std::nullopt;
      w.look();
      w.silence(woken);
      w.stopped.reset();
      w.go(300, 1, 900ms);
      EXPECT_FALSE(w.given) << *w.given << " after " << asleep.count() << " s and " << woken;
    }
}

TEST(GroupWatch, ARankThatStaysStoppedAfterASuspensionIsGivenUp) {
  Watching w;
  w.now += 16s;
  w.stopped = GroupWatch::Rank{0, 7};
  w.look();
  w.silence(40);
  EXPECT_EQ(w.given, "rank 0 (process 7) was stopped for 5 s");
}

TEST(GroupWatch, SuspendedAgainAndAgain) { // a laptop that is opened for a minute a day
  Watching w;
  for (int day = 0; day < 50; ++day) {
    w.go(60, 1, 500ms);
    w.now += 24h;
    w.look();
  }
  EXPECT_FALSE(w.given) << *w.given;
}

TEST(GroupWatch, ALaunchThatMovesSlowlyIsAwaited) {
  GroupWatch watch({5s, 120s, 60s});
  GroupWatch::Time now{};
  watch.launched(now);
  std::chrono::nanoseconds cpu{0};
  for (int i = 0; i < 500; ++i) {
    now += 1s;
    cpu += i % 50 == 0 ? 10ms : 0ms;
    watch.look(now);
    watch.launching(cpu);
    ASSERT_FALSE(watch.verdict()) << i << ": " << *watch.verdict();
  }
  for (int i = 0; i < 62; ++i) {
    watch.look(now += 1s);
    watch.launching(cpu);
  }
  EXPECT_EQ(watch.verdict(), "no worker called back, and nothing has moved for 60 s of the launch");
}

} // namespace
