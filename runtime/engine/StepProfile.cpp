//===- StepProfile.cpp -----------------------------------------------------------------------------------------------===//
#include "runtime/engine/StepProfile.h"
#include <algorithm>
#include <map>

namespace heddle {

static double secondsBetween(StepProfile::Clock::time_point from, StepProfile::Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

void StepProfile::begin(const StepPlan &plan) {
  tokens_ = static_cast<double>(plan.ids.size());
  rows_ = static_cast<double>(plan.rows.size());
  positions_.assign(plan.positions.begin(), plan.positions.end());
  sequences_.assign(plan.sequences.begin(), plan.sequences.end());
}

double StepProfile::visibleKeys(int64_t window) const {
  double keys = 0;
  for (int64_t position : positions_)
    keys += static_cast<double>(window ? std::min(position + 1, window) : position + 1);
  return keys;
}

double StepProfile::distinctKeys(int64_t window) const {
  double keys = 0;
  for (size_t i = 0, first = 0; i < positions_.size(); ++i) { // a sequence's tokens stand together, in increasing position
    if (i + 1 < positions_.size() && sequences_[i + 1] == sequences_[i])
      continue;
    int64_t lowest = window ? std::max<int64_t>(0, positions_[first] - window + 1) : 0;
    keys += static_cast<double>(positions_[i] + 1 - lowest);
    first = i + 1;
  }
  return keys;
}

void StepProfile::reached(int64_t thread, const StepKernel *kernel, Clock::time_point arrived, Clock::time_point passed,
                          Clock::time_point left) {
  Thread &mine = threads_[thread];
  mine.pending.seconds += secondsBetween(mine.since, passed);
  mine.pending.waiting += secondsBetween(arrived, passed);
  mine.pending.gathering += secondsBetween(passed, left);
  if (kernel) {
    Times &times = mine.times[kernel];
    ++times.calls;
    times.seconds += mine.pending.seconds;
    times.waiting += mine.pending.waiting;
    times.gathering += mine.pending.gathering;
    mine.pending = {};
    if (thread == 0) {
      double share = 1 / static_cast<double>(ranks_), keys = kernel->keyMacs ? visibleKeys(kernel->window) : 0;
      double rows = kernel->wanted ? rows_ : tokens_;
      double weights = rows > 0 ? static_cast<double>(kernel->weightBytes) : 0;
      if (kernel->rowBytes)
        weights = std::min(weights, rows * static_cast<double>(kernel->rowBytes));
      times.bytes +=
          share * (weights + (kernel->keyMacs ? distinctKeys(kernel->window) : 0) * static_cast<double>(kernel->keyBytes));
      times.integerOperations += share * 2 * rows * static_cast<double>(kernel->integerMacs);
      times.floatOperations +=
          share * 2 * (rows * static_cast<double>(kernel->floatMacs) + keys * static_cast<double>(kernel->keyMacs));
    }
  }
  mine.since = Clock::now();
}

std::vector<KernelTime> StepProfile::kernels() const {
  std::map<std::string, KernelTime> byName;
  for (size_t t = 0; t < threads_.size(); ++t)
    for (const auto &[kernel, times] : threads_[t].times) {
      KernelTime &all = byName[kernel->name];
      all.waiting += times.waiting / static_cast<double>(threads_.size());
      if (t != 0)
        continue;
      all.name = kernel->name;
      all.calls += times.calls;
      all.seconds += times.seconds;
      all.gathering += times.gathering;
      all.bytes += times.bytes;
      all.integerOperations += times.integerOperations;
      all.floatOperations += times.floatOperations;
    }
  std::vector<KernelTime> sorted;
  for (auto &[name, times] : byName)
    sorted.push_back(std::move(times));
  std::ranges::sort(sorted, [](const KernelTime &a, const KernelTime &b) { return a.seconds > b.seconds; });
  return sorted;
}

} // namespace heddle
