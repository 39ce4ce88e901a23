//===- Waiting.h - waiting for another core without wasting it -------------------------------------------------------===//
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <immintrin.h>
#include <sched.h>
#include <thread>

namespace heddle {

/// For waits of microseconds inside a step: spins, then yields, as there may be more ranks than cores (spinning without a yield
/// was 1000 times slower there). Never sleeps.
class BusyWait {
public:
  explicit BusyWait(int spins = 64) : spins_(spins) {}
  void pause() {
    if (spins_ > 0) {
      --spins_;
      _mm_pause();
    } else {
      sched_yield();
    }
  }

private:
  int spins_;
};

/// For waits between steps where no futex reaches: yields for a millisecond, as the next step is mostly near, then sleeps from
/// 50 µs up to 5 ms, so that an idle group uses no CPU to speak of.
class BackOff {
public:
  void pause() {
    if (std::chrono::steady_clock::now() - begin_ < std::chrono::milliseconds(1)) {
      sched_yield();
      return;
    }
    std::this_thread::sleep_for(sleep_);
    sleep_ = std::min(sleep_ * 2, std::chrono::microseconds(5000));
  }

private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::microseconds sleep_{50};
};

} // namespace heddle
