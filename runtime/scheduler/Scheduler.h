//===- Scheduler.h - which tokens the next step computes -------------------------------------------------------------===//
//
// Decides only: plain data in, plain data out, no thread, clock or MPI. There are no phases: a request has known tokens (its
// prompt and what was sampled) and computed ones, and a budget of tokens per step lets the second catch up with the first. A new
// prompt, a long one in chunks, decoding, and a request that lost its pages and starts again are one case.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace heddle {

struct RequestState {
  int64_t known;        // tokens that are known; more than `computed`
  int64_t computed;     // tokens whose keys and values are in its pages
  int64_t pages;        // pages that it holds and may write, at least enough for `computed` but for one that it must copy first
  int64_t shared = 0;   // of these, pages that an older request holds too: they come free only when that one gives them back
  bool waiting = false; // it has not started; what it holds was left by others with the same beginning
};

struct SchedulerLimits {
  int64_t tokenBudget;      // tokens of a step, at least 1
  int64_t pageTokens;       // positions of a page
  int64_t rows = INT64_MAX; // requests of a step that can be sampled, at least 1: there is room for so many rows of logits
};

struct ScheduledTokens {
  int64_t request; // index into the requests
  int64_t tokens;  // positions [computed, computed + tokens); when they reach `known`, the next token can be sampled
};

struct Schedule {
  std::vector<int64_t> preempted;    // these give all their pages back first, and have computed nothing then; youngest first
  std::vector<ScheduledTokens> work; // in increasing order of request
};

/// Decides a step for `requests`, which stand in order of arrival.
///
/// 1. Who has begun and needs one token to catch up goes first, in order of arrival; then the others, in order of arrival. Each
///    gets as many tokens as it needs and the budget still has. When there is no room for another row of logits, it leaves out
///    its last known token, after which it would be sampled.
/// 2. Pages come from the `freePages`. When they run out, the youngest request that holds any and is younger than the one in need
///    gives all of its pages back, and its part of this step, and starts again later. With none younger, the one in need takes
///    fewer tokens or waits. So the oldest always moves on, provided that the whole cache can hold it and that no request is
///    waiting with pages of others.
/// 3. A request that holds no pages, or is waiting, starts only when it could have pages for all of its known tokens, were all
///    younger ones preempted; until then no younger one that rule 1 does not put first gets anything. Nor does one that this step
///    preempted, or whoever comes after it: it does not grab back what it just gave.
///
/// The result depends on the arguments alone.
Schedule schedule(std::span<const RequestState> requests, int64_t freePages, const SchedulerLimits &limits);

} // namespace heddle
