//===- KvMemory.h - one rank's part of the KV cache ------------------------------------------------------------------===//
#pragma once
#include "runtime/host/HugeBuffer.h"
#include "runtime/kvcache/KvCache.h"
#include "runtime/plan/Share.h"
#include <algorithm>
#include <vector>

namespace heddle {

/// Shape of a paged state; the page layout is Frame.h's.
struct KvShape {
  int64_t layers, heads, kvHeads, headDim;
  KvType type = KvType::F16;

  /// KV heads that the query heads of a rank read.
  Share localHeads(int64_t rank, int64_t ranks) const { return kvShare(share(heads, rank, ranks), heads / kvHeads); }
  /// Bytes of one page on a rank.
  int64_t pageBytes(int64_t rank, int64_t ranks) const {
    return layers * localHeads(rank, ranks).size() * headPageBytes(headDim, type);
  }
  bool operator==(const KvShape &) const = default;
};

/// The paged states of a program. A page number stands for a page of each.
struct KvShapes {
  std::vector<KvShape> states;

  int64_t pageBytes(int64_t rank, int64_t ranks) const {
    int64_t bytes = 0;
    for (const KvShape &state : states)
      bytes += state.pageBytes(rank, ranks);
    return bytes;
  }
  /// Of a page, each head counted once: the same for every group, however many heads its ranks duplicate. Without any state 1, so
  /// that there is a number of pages.
  uint64_t wholePageBytes() const { return static_cast<uint64_t>(std::max<int64_t>(pageBytes(0, 1), 1)); }
  int64_t pagesIn(uint64_t bytes) const { return static_cast<int64_t>(std::min<uint64_t>(bytes / wholePageBytes(), INT32_MAX)); }
  /// f32 that a token needs for its partial states, for each entry of its page table (Frame.h).
  int64_t partialFloats(int64_t rank, int64_t ranks) const {
    int64_t most = 0;
    for (const KvShape &state : states)
      most = std::max(most, share(state.heads, rank, ranks).size() * heddle::partialFloats(state.headDim));
    return most;
  }
};

/// The pages of one state on one rank. Page numbers come from rank 0's step plans and are checked by the caller.
class KvMemory {
public:
  KvMemory(int64_t pages, int64_t pageBytes)
      : pageBytes_(pageBytes), memory_(static_cast<size_t>(pages) * static_cast<size_t>(pageBytes), "the KV cache") {}
  /// Copies, then zeroes, so that no masked position of a page holds an old, maybe non-finite value.
  void apply(const PageWork &work);
  std::byte *data() const { return memory_.data(); }
  int64_t size() const { return static_cast<int64_t>(memory_.size()); }

private:
  int64_t pageBytes_;
  HugeBuffer memory_;
};

} // namespace heddle
