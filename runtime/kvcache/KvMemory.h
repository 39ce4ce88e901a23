//===- KvMemory.h - one rank's part of the KV cache ------------------------------------------------------------------===//
#pragma once
#include "runtime/host/HugeBuffer.h"
#include "runtime/kvcache/KvCache.h"
#include "runtime/plan/Share.h"
#include <algorithm>
#include <vector>

namespace heddle {

/// Shape of a state; the page layout is Frame.h's.
struct StateShape {
  int64_t layers, heads, kvHeads, headDim;
  KvType type = KvType::F16;
  StateKind kind = StateKind::Paged;
  int64_t features = 0; // of a recurrent state's rows

  /// KV heads that the query heads of a rank read.
  Share localHeads(int64_t rank, int64_t ranks) const { return kvShare(share(heads, rank, ranks), heads / kvHeads); }
  /// Bytes of one page on a rank. A page of a recurrent state is a row: of each layer those 16 features at a time that are the
  /// rank's.
  int64_t pageBytes(int64_t rank, int64_t ranks) const {
    if (kind == StateKind::Recurrent)
      return layers * share((features + 15) / 16, rank, ranks).size() * 16 * static_cast<int64_t>(sizeof(float));
    return layers * localHeads(rank, ranks).size() * headPageBytes(headDim, type);
  }
  bool operator==(const StateShape &) const = default;
};

/// The states of a program. All but transient ones have the same number of pages, so a page number stands for a page of each.
struct StateShapes {
  std::vector<StateShape> states;

  int64_t pageBytes(int64_t rank, int64_t ranks) const {
    int64_t bytes = 0;
    for (const StateShape &state : states)
      bytes += state.kind == StateKind::Transient ? 0 : state.pageBytes(rank, ranks);
    return bytes;
  }
  /// Of a page of each transient state.
  int64_t transientBytes(int64_t rank, int64_t ranks) const {
    int64_t bytes = 0;
    for (const StateShape &state : states)
      bytes += state.kind == StateKind::Transient ? state.pageBytes(rank, ranks) : 0;
    return bytes;
  }
  /// Whether anything is left of a step for the next one.
  bool keep() const { return pageBytes(0, 1) > 0; }
  /// Of a page, each head counted once: the same for every group, however many heads its ranks duplicate. Without any state 1, so
  /// that there is a number of pages.
  uint64_t wholePageBytes() const { return static_cast<uint64_t>(std::max<int64_t>(pageBytes(0, 1), 1)); }
  int64_t pagesIn(uint64_t bytes) const { return static_cast<int64_t>(std::min<uint64_t>(bytes / wholePageBytes(), INT32_MAX)); }
  /// f32 that a token needs for its partial states, for each entry of its page table (Frame.h).
  int64_t partialFloats(int64_t rank, int64_t ranks) const {
    int64_t most = 0;
    for (const StateShape &state : states)
      most = std::max(most, share(state.heads, rank, ranks).size() * heddle::partialFloats(state.headDim));
    return most;
  }
};

/// The pages of one state on one rank. Page numbers come from rank 0's step plans and are checked by the caller.
class KvMemory {
public:
  KvMemory(int64_t pages, int64_t pageBytes)
      : pages_(pages), pageBytes_(pageBytes),
        memory_(static_cast<size_t>(pages) * static_cast<size_t>(pageBytes), "the KV cache") {}
  /// Copies, then zeroes, so that no masked position of a page holds an old, maybe non-finite value.
  void apply(const PageWork &work);
  std::byte *data() const { return memory_.data(); }
  int64_t size() const { return static_cast<int64_t>(memory_.size()); }
  int64_t pages() const { return pages_; }

private:
  int64_t pages_, pageBytes_;
  HugeBuffer memory_;
};

} // namespace heddle
