//===- Scheduler.cpp - which tokens the next step computes -----------------------------------------------------------===//
#include "runtime/scheduler/Scheduler.h"
#include <algorithm>

namespace heddle {
namespace {

/// The state of one decision; lives for one call of schedule().
class Decision {
public:
  Decision(std::span<const RequestState> requests, int64_t freePages, const SchedulerLimits &limits)
      : limits_(limits), free_(freePages), budget_(limits.tokenBudget), rows_(limits.rows),
        requests_(requests.begin(), requests.end()), tokens_(requests.size()), preempted_(requests.size()) {}

  Schedule decide() {
    int64_t count = static_cast<int64_t>(requests_.size());
    for (int64_t r = 0; r < count && budget_ > 0; ++r)
      if (nearlyDone(r))
        give(r);
    for (int64_t r = 0; r < count && budget_ > 0; ++r) {
      if (nearlyDone(r))
        continue;
      bool starts = requests_[r].pages == 0 || requests_[r].waiting;
      if (preempted_[r] || (starts && pagesFor(requests_[r].known) - requests_[r].pages > obtainable(r)))
        break; // rule 3
      give(r);
    }
    for (int64_t r = 0; r < count; ++r)
      if (tokens_[r] > 0)
        result_.work.push_back({r, tokens_[r]});
    return std::move(result_);
  }

private:
  bool nearlyDone(int64_t r) const {
    const RequestState &request = requests_[r];
    return request.computed > 0 && request.known - request.computed == 1 && !request.waiting;
  }
  int64_t pagesFor(int64_t tokens) const { return (tokens + limits_.pageTokens - 1) / limits_.pageTokens; }

  static int64_t givesBack(const RequestState &request) { return request.pages - request.shared; }

  /// Pages that request r could have, were all younger ones preempted.
  int64_t obtainable(int64_t r) const {
    int64_t pages = free_;
    for (size_t younger = r + 1; younger < requests_.size(); ++younger)
      pages += givesBack(requests_[younger]);
    return pages;
  }

  /// Gives request r as many tokens as budget and pages allow, taking pages from younger ones if it must.
  void give(int64_t r) {
    RequestState &request = requests_[r];
    const int64_t all = request.known - request.computed;
    int64_t tokens = std::min(rows_ > 0 ? all : all - 1, budget_);
    if (tokens <= 0)
      return;
    int64_t missing = pagesFor(request.computed + tokens) - request.pages;
    while (missing > free_ && preemptYoungerThan(r)) {
    }
    if (missing > free_)
      tokens = std::min(tokens, (request.pages + free_) * limits_.pageTokens - request.computed);
    if (tokens <= 0)
      return;
    int64_t taken = std::max<int64_t>(0, pagesFor(request.computed + tokens) - request.pages);
    free_ -= taken;
    request.pages += taken;
    budget_ -= tokens;
    rows_ -= tokens == all;
    tokens_[r] = tokens;
  }

  bool preemptYoungerThan(int64_t r) {
    for (int64_t victim = static_cast<int64_t>(requests_.size()) - 1; victim > r; --victim) {
      if (requests_[victim].pages == 0)
        continue;
      free_ += givesBack(requests_[victim]);
      budget_ += tokens_[victim]; // what this step had promised it
      rows_ += tokens_[victim] > 0 && tokens_[victim] == requests_[victim].known - requests_[victim].computed;
      tokens_[victim] = 0;
      requests_[victim].pages = requests_[victim].computed = requests_[victim].shared = 0;
      preempted_[victim] = true; // starts again in a later step
      result_.preempted.push_back(victim);
      return true;
    }
    return false;
  }

  SchedulerLimits limits_;
  int64_t free_, budget_, rows_;
  std::vector<RequestState> requests_; // as they will be after the decisions so far
  std::vector<int64_t> tokens_;
  std::vector<bool> preempted_;
  Schedule result_;
};

} // namespace

Schedule schedule(std::span<const RequestState> requests, int64_t freePages, const SchedulerLimits &limits) {
  return Decision(requests, freePages, limits).decide();
}

} // namespace heddle
