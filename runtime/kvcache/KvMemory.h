//===- KvMemory.h - one rank's part of the KV cache ------------------------------------------------------------------===//
#pragma once
#include "runtime/host/HugeBuffer.h"
#include "runtime/kvcache/KvCache.h"
#include "runtime/plan/Share.h"

namespace heddle {

/// Shape of a paged state; the page layout is StepAbi.h's.
struct KvShape {
  int64_t layers, heads, kvHeads, headDim;
  KvType type = KvType::F16;

  /// KV heads that the query heads of a rank read.
  Share localHeads(int64_t rank, int64_t ranks) const { return kvShare(share(heads, rank, ranks), heads / kvHeads); }
  /// Bytes of one page on a rank.
  int64_t pageBytes(int64_t rank, int64_t ranks) const {
    return layers * localHeads(rank, ranks).size() * headPageBytes(headDim, type);
  }
  /// Pages that fit into `bytes`, counting each head once: the same number for every group, however many heads its ranks
  /// duplicate.
  int64_t pagesIn(uint64_t bytes) const {
    return static_cast<int64_t>(bytes / (layers * kvHeads * headPageBytes(headDim, type)));
  }
};

/// The pages of one rank. Page numbers come from rank 0's step plans and are checked by the caller.
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
