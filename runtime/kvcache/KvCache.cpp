//===- KvCache.cpp - which sequence holds which pages ----------------------------------------------------------------===//
#include "runtime/kvcache/KvCache.h"
#include <algorithm>
#include <stdexcept>
#include <string>

namespace heddle {

KvCache::KvCache(int64_t pages) : references_(pages), kept_(pages) {
  for (int64_t p = pages; p-- > 0;)
    free_.push_back(static_cast<int32_t>(p)); // page 0 goes out first
}

std::span<const int32_t> KvCache::pages(Sequence sequence) const {
  auto found = tables_.find(sequence);
  return found == tables_.end() ? std::span<const int32_t>() : found->second;
}

/// Another sequence holds the page, or the tree keeps it as it is: whoever writes needs a copy.
int64_t KvCache::pagesNeeded(Sequence sequence, int64_t begin, int64_t end) const {
  std::span<const int32_t> held = pages(sequence);
  int64_t needed = std::max<int64_t>(0, pagesFor(end) - static_cast<int64_t>(held.size()));
  for (size_t i = begin / kPageTokens; i < held.size() && static_cast<int64_t>(i) * kPageTokens < end; ++i)
    needed += isShared(held[i]);
  return needed;
}

bool KvCache::reserve(Sequence sequence, int64_t begin, int64_t end, PageWork &work) {
  if (begin > static_cast<int64_t>(pages(sequence).size()) * kPageTokens)
    throw std::logic_error("KvCache: sequence " + std::to_string(sequence) + " leaves a gap before position " +
                           std::to_string(begin));
  if (pagesNeeded(sequence, begin, end) > freePages())
    return false;
  std::vector<int32_t> &table = tables_[sequence];
  for (size_t i = begin / kPageTokens; i < table.size() && static_cast<int64_t>(i) * kPageTokens < end; ++i) {
    if (!isShared(table[i]))
      continue;
    int32_t own = take();
    work.copies.emplace_back(table[i], own);
    drop(table[i]);
    table[i] = own;
  }
  while (static_cast<int64_t>(table.size()) < pagesFor(end))
    work.fresh.push_back(table.emplace_back(take()));
  return true;
}

void KvCache::fork(Sequence parent, Sequence child, int64_t tokens) {
  std::span<const int32_t> held = pages(parent);
  if (!pages(child).empty() || pagesFor(tokens) > static_cast<int64_t>(held.size()))
    throw std::logic_error("KvCache: cannot fork " + std::to_string(tokens) + " positions of sequence " + std::to_string(parent));
  std::vector<int32_t> shared(held.begin(), held.begin() + pagesFor(tokens));
  for (int32_t page : shared)
    hold(page);
  tables_[child] = std::move(shared);
}

void KvCache::release(Sequence sequence) {
  auto found = tables_.find(sequence);
  if (found == tables_.end())
    return;
  for (auto page = found->second.rbegin(); page != found->second.rend(); ++page) // the first page goes out next
    drop(*page);
  tables_.erase(found);
}

void KvCache::retire(Sequence sequence, std::span<const int32_t> tokens) {
  std::span<const int32_t> held = pages(sequence);
  if (pagesFor(static_cast<int64_t>(tokens.size())) > static_cast<int64_t>(held.size()))
    throw std::logic_error("KvCache: sequence " + std::to_string(sequence) + " does not hold what it leaves");
  // A page that a fork still holds cannot be kept: it would outlive what stands before it in the tree.
  for (size_t i = 0; i * kPageTokens < tokens.size(); ++i)
    if (references_[held[i]] > 1 && !kept_[held[i]])
      tokens = tokens.first(i * kPageTokens);
  prefixes_.add(
      tokens, held, [this](int32_t page) { kept_[page] = true; }, [this](int32_t page) { return references_[page] == 0; },
      [this](int32_t page) {
        kept_[page] = false;
        --idle_;
        free_.push_back(page);
      });
  release(sequence);
}

int64_t KvCache::share(Sequence sequence, std::span<const int32_t> tokens) {
  if (!pages(sequence).empty())
    throw std::logic_error("KvCache: sequence " + std::to_string(sequence) + " has begun already");
  PrefixTree::Match match = prefixes_.find(tokens);
  if (match.pages.empty())
    return 0;
  for (int32_t page : match.pages)
    hold(page);
  tables_[sequence] = std::move(match.pages);
  return match.tokens;
}

void KvCache::hold(int32_t page) {
  if (references_[page]++ == 0)
    --idle_; // it was in the tree alone
}

void KvCache::drop(int32_t page) {
  if (--references_[page] > 0)
    return;
  if (kept_[page])
    ++idle_;
  else
    free_.push_back(page);
}

/// A free page; with none, the room of the one in the tree that was used longest ago. A sequence that holds a page of the tree
/// holds all before it, so what is idle can always be taken from the leaves on.
int32_t KvCache::take() {
  if (free_.empty()) {
    int32_t page = prefixes_.evict([this](int32_t p) { return references_[p] == 0; }).value();
    kept_[page] = false;
    --idle_;
    free_.push_back(page);
  }
  int32_t page = free_.back();
  free_.pop_back();
  references_[page] = 1;
  return page;
}

} // namespace heddle
