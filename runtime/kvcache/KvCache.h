//===- KvCache.h - which sequence holds which pages ------------------------------------------------------------------===//
#pragma once
#include "runtime/kvcache/PrefixTree.h"
#include "runtime/plan/Frame.h"
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace heddle {

/// What the memory of every rank must do before a step, in this order.
struct PageWork {
  std::vector<std::pair<int32_t, int32_t>> copies; // from, to: a shared page that is about to be written
  std::vector<int32_t> fresh;                      // to be zeroed: handed out just now
};

/// The bookkeeping of a paged state: pages of kPageTokens positions, a free list, a page table per sequence, and how many
/// sequences share a page. Lives on rank 0 only and holds no tensor data (KvMemory does, on every rank; both number pages the
/// same way). Plain values, one thread. Pages are handed out last-freed first.
///
/// A sequence that ends may leave its pages for others that begin with the same tokens (retire, share). They stay until their
/// room is needed: then those used longest ago go, and until then they count as free.
class KvCache {
public:
  using Sequence = uint64_t; // the caller's name for it
  explicit KvCache(int64_t pages);

  int64_t totalPages() const { return static_cast<int64_t>(references_.size()); }
  int64_t freePages() const { return static_cast<int64_t>(free_.size()) + idle_; }
  /// Pages that `tokens` positions take.
  static int64_t pagesFor(int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }
  /// Pages that reserve(sequence, begin, end) would take from the free list.
  int64_t pagesNeeded(Sequence sequence, int64_t begin, int64_t end) const;

  /// Makes positions [begin, end) of the sequence writable; positions below `begin` are held already. New pages come from the
  /// free list, shared ones are copied first. False, and nothing changed, when there are too few pages. A sequence begins with
  /// its first reserve().
  bool reserve(Sequence sequence, int64_t begin, int64_t end, PageWork &work);
  /// `child`, which holds nothing yet, shares the pages of the first `tokens` positions of `parent`.
  void fork(Sequence parent, Sequence child, int64_t tokens);
  /// Gives all pages of the sequence back; those that nobody else shares become free.
  void release(Sequence sequence);
  /// As release(), but its pages, which hold the keys and values of `tokens` from position 0 on, stay to be shared.
  void retire(Sequence sequence, std::span<const int32_t> tokens);
  /// Gives the sequence, which holds nothing yet, the pages of the longest beginning of `tokens` that was retired; returns its
  /// length.
  int64_t share(Sequence sequence, std::span<const int32_t> tokens);
  /// Physical page of each kPageTokens positions; empty for an unknown sequence. Valid until the next change.
  std::span<const int32_t> pages(Sequence sequence) const;

private:
  bool isShared(int32_t page) const { return references_[page] > 1 || kept_[page]; }
  int32_t take();
  void hold(int32_t page);
  void drop(int32_t page);
  std::vector<int32_t> free_;       // the back goes out next
  std::vector<int32_t> references_; // by page: sequences that hold it
  std::vector<bool> kept_;          // by page: in the tree, free or not
  int64_t idle_ = 0;                // pages that only the tree keeps
  PrefixTree prefixes_;
  std::unordered_map<Sequence, std::vector<int32_t>> tables_;
};

} // namespace heddle
