//===- PrefixTree.cpp - which pages hold the keys and values of which tokens ---------------------------------------------===//
#include "runtime/kvcache/PrefixTree.h"
#include <algorithm>

namespace heddle {
namespace {

/// Tokens that both begin with.
size_t common(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + std::min(a.size(), b.size()), b.begin()).first - a.begin());
}

std::span<const int32_t> firstPage(std::span<const int32_t> tokens) {
  return tokens.first(std::min<size_t>(tokens.size(), kPageTokens));
}

} // namespace

PrefixTree::Match PrefixTree::find(std::span<const int32_t> tokens) {
  Match match;
  ++clock_;
  for (size_t at = 0; !tokens.empty();) {
    size_t best = 0, most = 0;
    for (size_t next : nodes_[at].next)
      if (size_t same = common(nodes_[next].tokens, tokens); same > most)
        best = next, most = same;
    if (most == 0)
      break;
    nodes_[best].used = clock_;
    match.pages.push_back(nodes_[best].page);
    match.tokens += static_cast<int64_t>(most);
    if (most < kPageTokens)
      break;
    tokens = tokens.subspan(most);
    at = best;
  }
  return match;
}

void PrefixTree::add(std::span<const int32_t> tokens, std::span<const int32_t> pages, const std::function<void(int32_t)> &keep,
                     const std::function<bool(int32_t)> &idle, const std::function<void(int32_t)> &drop) {
  ++clock_;
  for (size_t at = 0, i = 0; !tokens.empty(); ++i) {
    std::span<const int32_t> part = firstPage(tokens);
    size_t found = 0;
    std::vector<size_t> beginnings; // of this page's text, each a leaf
    for (size_t next : nodes_[at].next) {
      size_t same = common(nodes_[next].tokens, part);
      if (same == part.size())
        found = next; // it holds at least as much
      else if (same == nodes_[next].tokens.size())
        beginnings.push_back(next);
    }
    if (!found) {
      for (size_t leaf : beginnings)
        if (int32_t page = nodes_[leaf].page; idle(page)) {
          remove(leaf);
          drop(page);
        }
      found = newNode();
      nodes_[found].tokens.assign(part.begin(), part.end());
      nodes_[found].page = pages[i];
      nodes_[found].parent = at;
      nodes_[at].next.push_back(found);
      keep(pages[i]);
    }
    nodes_[found].used = clock_;
    tokens = tokens.subspan(part.size());
    at = found;
  }
}

/// A walk over all nodes: once for 64 new positions when the cache is full, so it need not be faster.
std::optional<int32_t> PrefixTree::evict(const std::function<bool(int32_t)> &idle) {
  size_t oldest = 0;
  for (size_t node = 1; node < nodes_.size(); ++node)
    if (!nodes_[node].tokens.empty() && nodes_[node].next.empty() && (!oldest || nodes_[node].used < nodes_[oldest].used) &&
        idle(nodes_[node].page))
      oldest = node;
  if (!oldest)
    return std::nullopt;
  int32_t page = nodes_[oldest].page;
  remove(oldest);
  return page;
}

size_t PrefixTree::newNode() {
  if (free_.empty()) {
    nodes_.emplace_back();
    return nodes_.size() - 1;
  }
  size_t node = free_.back();
  free_.pop_back();
  return node;
}

void PrefixTree::remove(size_t node) {
  std::erase(nodes_[nodes_[node].parent].next, node);
  nodes_[node] = {};
  free_.push_back(node);
}

} // namespace heddle
