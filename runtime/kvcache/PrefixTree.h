//===- PrefixTree.h - which pages hold the keys and values of which tokens -----------------------------------------------===//
#pragma once
#include "runtime/plan/Frame.h"
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace heddle {

/// Pages of sequences that ended, by the tokens whose keys and values they hold. A node is a page; the way to it from the root
/// spells the text before it, which its values depend on too. Only whole pages have successors; a leaf may be filled in part.
/// Tokens are compared themselves, so nothing is ever found by a hash alone. Plain bookkeeping, one thread.
class PrefixTree {
public:
  struct Match {
    std::vector<int32_t> pages;
    int64_t tokens = 0; // held by them, from the beginning; the last page may hold more than was asked for
  };
  /// The longest beginning of `tokens` that is here; counts as a use.
  Match find(std::span<const int32_t> tokens);

  /// `pages` hold the keys and values of `tokens`. What is new is kept: `keep(page)` is called for it. A partly filled leaf that
  /// a fuller page of the same text makes needless goes, if `idle(page)`: then `drop(page)`.
  void add(std::span<const int32_t> tokens, std::span<const int32_t> pages, const std::function<void(int32_t)> &keep,
           const std::function<bool(int32_t)> &idle, const std::function<void(int32_t)> &drop);

  /// Takes the page out that was used longest ago among those without a successor that are `idle`; none: nothing.
  std::optional<int32_t> evict(const std::function<bool(int32_t)> &idle);

private:
  struct Node {
    std::vector<int32_t> tokens; // 1 to kPageTokens; none: the root, or a place that is free
    int32_t page = -1;
    size_t parent = 0;
    std::vector<size_t> next;
    uint64_t used = 0;
  };
  size_t newNode();
  void remove(size_t node);

  std::vector<Node> nodes_{1}; // [0] is the root
  std::vector<size_t> free_;   // places in nodes_
  uint64_t clock_ = 0;
};

} // namespace heddle
