//===- StepExecutor.h - runs the compiled step on this rank ----------------------------------------------------------===//
#pragma once
#include "runtime/comm/Communicator.h"
#include "runtime/engine/StepPlan.h"
#include "runtime/engine/StepProfile.h"
#include "runtime/kvcache/KvMemory.h"
#include "runtime/plan/StepAbi.h"
#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace heddle {

/// A model as one rank runs it: a compiled step (or, in tests, any function of that type) and what it reads.
struct StepModel {
  StepFunction step = nullptr;
  std::shared_ptr<const void> owner;                    // keeps the code and the four buffers alive
  StepBuffer weights, weightOffsets, rope, ropeOffsets; // this rank's; RoPE tables for `context` positions
  int64_t vocabulary = 0, logitStride = 0, arenaBytesPerToken = 0, context = 0;
  KvShape kv{1, 1, 1, 1};
  std::vector<int64_t> endOfText;
};

/// The largest step that there is room for.
struct StepRoom {
  int64_t tokens, rows, context; // of all sequences; whose logits are wanted; longest position of a sequence
};
/// Bytes that the buffers of such a step take on a rank: arena, logits, attention's partial states.
struct StepBytes {
  int64_t arena, logits, partials;
  int64_t all() const { return arena + logits + partials; }
};
StepBytes stepBytes(const StepRoom &room, int64_t arenaBytesPerToken, int64_t logitStride, const KvShape &kv, int64_t rank,
                    int64_t ranks);

struct StepContext; // what heddle_barrier and heddle_all_gather find behind their `context`

/// Owns this rank's arena, logits and KV memory, whose size is set at the start: no step can fail for want of memory later. One
/// thread drives it; run() enters one OpenMP region of `threads` threads, in which every thread computes with round-to-nearest
/// and without flushing denormals, whatever the caller had set.
class StepExecutor {
public:
  /// Throws when `threads` threads cannot be had.
  StepExecutor(const StepModel &model, const StepRoom &room, int64_t pages, int64_t threads, Communicator &group);
  ~StepExecutor();
  /// Does the page work and the step, which has room. Logits [rows][logitStride] in the plan's order, until the next run; null
  /// when the step was left early. Throws what the communicator threw; the executor cannot be used after that.
  const float *run(StepPlan &plan);
  /// While `flag`, which outlives the executor, is true, all threads leave a step at its next barrier. In a group of one only:
  /// the other ranks would wait for this one.
  void leaveStepsWhile(const std::atomic<bool> &flag);
  /// From now on, times every kernel of every step, until endProfile().
  void startProfile();
  std::vector<KernelTime> endProfile();

private:
  StepModel model_;
  int64_t threads_;
  Communicator &group_;
  KvMemory kv_;
  HugeBuffer arena_, partials_, logits_;
  std::unique_ptr<StepContext> context_;
};

} // namespace heddle
