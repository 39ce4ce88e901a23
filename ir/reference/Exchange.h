//===- Exchange.h - ranks as threads: what crosses between them -----------------------------------------------------===//
#pragma once
#include "ir/reference/Tensor.h"
#include <condition_variable>
#include <mutex>

namespace heddle::reference {

/// One per run. Every rank's thread calls `all` at each heddle.all_gather, in the same order. A rank that fails calls `fail`,
/// which wakes the others and makes their `all` return nothing, so that nobody waits for a rank that will not come.
class Exchange {
public:
  explicit Exchange(int ranks) : slots_(static_cast<size_t>(ranks)) {}

  /// Every rank's value, by rank; empty when some rank has failed.
  std::vector<TensorPtr> all(int rank, TensorPtr mine) {
    std::unique_lock lock(mutex_);
    slots_[static_cast<size_t>(rank)] = std::move(mine);
    uint64_t round = round_;
    if (++arrived_ == slots_.size()) {
      whole_ = slots_;
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return failed_ || round_ != round; });
    }
    // A slower rank still reads `whole_` of its round: the next round needs that rank to arrive first.
    return round_ == round ? std::vector<TensorPtr>() : whole_;
  }

  /// True for the first rank that fails: that one reports.
  bool fail() {
    std::lock_guard lock(mutex_);
    bool first = !failed_;
    failed_ = true;
    changed_.notify_all();
    return first;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<TensorPtr> slots_, whole_;
  size_t arrived_ = 0;
  uint64_t round_ = 0;
  bool failed_ = false;
};

} // namespace heddle::reference
