//===- StepPlan.h - what rank 0 tells every rank before a step -------------------------------------------------------===//
#pragma once
#include "runtime/kvcache/KvCache.h"
#include "runtime/plan/Plan.h"
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <stdexcept>
#include <vector>

namespace heddle {

/// Arrays that compiled code reads are aligned to 64 bytes (Frame.h).
template <class T> struct Aligned64 {
  using value_type = T;
  Aligned64() = default;
  template <class U> Aligned64(const Aligned64<U> &) {}
  T *allocate(size_t n) { return static_cast<T *>(::operator new(n * sizeof(T), std::align_val_t{64})); }
  void deallocate(T *p, size_t) { ::operator delete(p, std::align_val_t{64}); }
  bool operator==(const Aligned64 &) const = default;
};
using StepInts = std::vector<int32_t, Aligned64<int32_t>>;

/// What a step plan must stay within; the same on all ranks.
struct StepLimits {
  int64_t vocabulary, context, pages, tokens, rows;
  std::vector<StateKind> states;              // of the program, as in its manifest
  std::vector<std::vector<StateUse>> entries; // what each does with them
  int64_t tokenTypes = 1;
};

struct StepPlanError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Where the sequences of a step are in a state. Empty for a transient state, whose pages last for the step, and for one that the
/// entry does not act on.
struct StatePages {
  PageWork work;  // done before the step
  StepInts table; // [sequences · width]: pages, or the rows of a recurrent state
  int64_t width = 0;
  StepInts lengths = {}; // [sequences] of a fixed state that is read; of others the positions say it
};

/// One step, or the order to stop. The arrays are those of Frame.h.
struct StepPlan {
  uint64_t epoch = 0; // 1, 2, … : a rank that missed a step notices
  bool stop = false;  // follow() returns; everything else is empty
  int64_t entry = 0;  // which of the model's entries is called
  StepInts ids, positions, sequences, rows;
  StepInts types = {};            // none: all 0
  std::vector<StatePages> states; // of each of the program

  int64_t sequenceCount() const { return sequences.empty() ? 0 : sequences.back() + 1; }
  std::vector<std::byte> serialize() const;
  /// Checks every count, id, position, row and page, so that a damaged message cannot make compiled code leave its buffers.
  static StepPlan parse(std::span<const std::byte> message, const StepLimits &limits);
};

} // namespace heddle
