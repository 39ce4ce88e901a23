//===- StepPlan.h - what rank 0 tells every rank before a step -------------------------------------------------------===//
#pragma once
#include "runtime/kvcache/KvCache.h"
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
  int64_t vocabulary, context, pages, tokens, rows, entries = 1;
};

struct StepPlanError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One step, or the order to stop. The arrays are those of Frame.h; every paged state has the one page table.
struct StepPlan {
  uint64_t epoch = 0; // 1, 2, … : a rank that missed a step notices
  bool stop = false;  // follow() returns; everything else is empty
  int64_t entry = 0;  // which of the model's entries is called
  PageWork pageWork;  // done before the step
  StepInts ids, positions, sequences, pageTable, rows;
  int64_t pageTableWidth = 0;

  std::vector<std::byte> serialize() const;
  /// Checks every count, id, position, row and page, so that a damaged message cannot make compiled code leave its buffers.
  static StepPlan parse(std::span<const std::byte> message, const StepLimits &limits);
};

} // namespace heddle
