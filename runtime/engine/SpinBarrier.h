//===- SpinBarrier.h - the barrier between the kernels of a step -----------------------------------------------------===//
#pragma once
#include "runtime/comm/Waiting.h"
#include <atomic>
#include <cstdint>

namespace heddle {

/// A barrier for a fixed number of threads, passed about 150 times a step: it spins for about as long as neighbouring threads'
/// kernels differ, then yields, as there may be more threads than cores. Any number of rounds; everything written before wait()
/// is visible after it. Destroy it when no thread is in wait().
class SpinBarrier {
public:
  explicit SpinBarrier(int64_t threads) : threads_(threads) {}
  /// How often all have passed it; the same for every thread between two of its waits.
  uint64_t round() const { return round_.load(std::memory_order_relaxed); }
  void wait() {
    if (threads_ == 1)
      return;
    uint64_t round = this->round(); // cannot change before this thread has arrived
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (BusyWait wait(kSpins); round_.load(std::memory_order_acquire) == round;)
      wait.pause();
  }

private:
  static constexpr int kSpins = 256;
  const int64_t threads_;
  alignas(128) std::atomic<int64_t> arrived_{0};
  alignas(128) std::atomic<uint64_t> round_{0}; // apart from arrived_, which arriving threads write while the others read this
};

} // namespace heddle
