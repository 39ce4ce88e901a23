//===- TextWorkersTest.cpp - large texts wait in order, within their memory -------------------------------------------===//
#include "services/frontend/TextWorkers.h"
#include <atomic>
#include <future>
#include <gtest/gtest.h>

using namespace heddle;

namespace {

/// A job that says when it starts and ends when it may. Outlives its workers, which touch it until it has ended.
struct Held {
  std::promise<void> started, let;
  TextWorkers::Job job() {
    return [this](bool) {
      started.set_value();
      let.get_future().wait();
    };
  }
  bool hasStarted(std::chrono::milliseconds limit) { return started.get_future().wait_for(limit) == std::future_status::ready; }
};

using namespace std::chrono_literals;

TEST(TextWorkers, ASmallTextNeedNotWaitForALargeOne) {
  Held large, larger, small;
  TextWorkers workers({2, 1000, 100});
  ASSERT_TRUE(workers.submit(90, large.job()));
  ASSERT_TRUE(large.hasStarted(10s));
  ASSERT_TRUE(workers.submit(80, larger.job())); // no memory for it now
  ASSERT_TRUE(workers.submit(10, small.job()));
  EXPECT_TRUE(small.hasStarted(10s));
  EXPECT_FALSE(larger.hasStarted(50ms));
  large.let.set_value();
  small.let.set_value();
  larger.let.set_value();
}

TEST(TextWorkers, ATextOverTheLimitGoesAlone) {
  std::promise<void> done;
  TextWorkers workers({2, 1000, 100});
  ASSERT_TRUE(workers.submit(500, [&](bool) { done.set_value(); }));
  EXPECT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
}

TEST(TextWorkers, TooMuchThatWaitsIsRefused) {
  Held first;
  TextWorkers workers({1, 100, 1000});
  ASSERT_TRUE(workers.submit(10, first.job()));
  ASSERT_TRUE(first.hasStarted(10s));
  std::atomic<int> ended = 0;
  auto count = [&](bool) { ++ended; };
  EXPECT_TRUE(workers.submit(60, count));
  EXPECT_TRUE(workers.submit(40, count));
  EXPECT_FALSE(workers.submit(1, count));
  first.let.set_value();
  workers.stop();
  EXPECT_EQ(ended, 2);
}

TEST(TextWorkers, StoppingEndsWhatWaitsWithoutDoingIt) {
  Held first;
  TextWorkers workers({1, 100, 100});
  ASSERT_TRUE(workers.submit(1, first.job()));
  ASSERT_TRUE(first.hasStarted(10s));
  std::atomic<int> told = 0;
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(workers.submit(1, [&](bool stopped) { told += stopped; }));
  std::thread later([&] {
    std::this_thread::sleep_for(20ms);
    first.let.set_value();
  });
  workers.stop();
  later.join();
  EXPECT_EQ(told, 3);
  EXPECT_FALSE(workers.submit(1, [](bool) {}));
}

} // namespace
