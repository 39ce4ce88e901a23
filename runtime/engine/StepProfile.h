//===- StepProfile.h - where the time of steps goes, kernel by kernel -----------------------------------------------===//
#pragma once
#include "runtime/engine/StepPlan.h"
#include "runtime/plan/Frame.h"
#include <chrono>
#include <string>
#include <unordered_map>
#include <vector>

namespace heddle {

/// One kernel over all profiled steps, on this rank.
struct KernelTime {
  std::string name;     // function.role
  int64_t calls = 0;    // once for each layer and step
  double seconds = 0;   // from the end of the kernel before to the end of this one, gathering left out
  double waiting = 0;   // of these, seconds that a thread waited for the others: mean of the threads
  double gathering = 0; // seconds in the all-gather after it, waiting for other ranks included
  double bytes = 0;     // packed weights and visible keys and values that this rank had to read
  double integerOperations = 0, floatOperations = 0; // multiplications and additions of this rank, of int8 and of f32
};

/// Collects times between the barriers of steps: begin() once a step, start() by each thread on entering it, then reached() by
/// each thread at each barrier. Threads write apart from each other.
class StepProfile {
public:
  using Clock = std::chrono::steady_clock;
  StepProfile(int64_t threads, int64_t ranks) : ranks_(ranks), threads_(threads) {}

  void begin(const StepPlan &plan);
  void start(int64_t thread) { threads_[thread].since = Clock::now(); }
  /// `arrived`: when the thread came to the barrier after the kernel; `passed`: when all had; `left`: after the gather, if there
  /// was one. Without a kernel the time is part of the next one's.
  void reached(int64_t thread, const StepKernel *kernel, Clock::time_point arrived, Clock::time_point passed,
               Clock::time_point left);
  /// All that was collected, the longest first.
  std::vector<KernelTime> kernels() const;

private:
  struct Times {
    int64_t calls = 0;
    double seconds = 0, waiting = 0, gathering = 0, bytes = 0, integerOperations = 0, floatOperations = 0;
  };
  struct alignas(128) Thread { // written by one thread
    Clock::time_point since;
    Times pending; // of parts without a kernel
    std::unordered_map<const StepKernel *, Times> times;
  };
  double visibleKeys(int64_t window) const;  // of all tokens together
  double distinctKeys(int64_t window) const; // of all sequences together: what a step must read at least once

  int64_t ranks_;
  double tokens_ = 0, rows_ = 0;
  std::vector<int32_t> positions_, sequences_; // of the running step's tokens
  std::vector<Thread> threads_;
};

} // namespace heddle
