#include "runtime/engine/SpinBarrier.h"
#include <gtest/gtest.h>
#include <thread>
#include <vector>

using namespace heddle;

namespace {

TEST(SpinBarrier, NobodyPassesBeforeAllHaveArrived) {
  for (int64_t threads : {1, 2, 3, 8}) { // more than cores, too
    SpinBarrier barrier(threads);
    std::vector<int64_t> rounds(threads * 16); // plain: the barrier alone orders them
    std::atomic<int64_t> wrong = 0;
    {
      std::vector<std::jthread> team;
      for (int64_t t = 0; t < threads; ++t)
        team.emplace_back([&, t] {
          for (int64_t round = 1; round <= 2000; ++round) {
            rounds[t * 16] = round;
            barrier.wait();
            for (int64_t other = 0; other < threads; ++other)
              wrong += rounds[other * 16] != round;
            barrier.wait();
          }
        });
    }
    EXPECT_EQ(wrong, 0) << threads << " threads";
  }
}

} // namespace
