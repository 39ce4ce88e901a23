//===- KvCache.cpp - which sequence holds which pages ----------------------------------------------------------------===//
#include "runtime/kvcache/KvCache.h"
#include <algorithm>
#include <stdexcept>
#include <string>

namespace heddle {

KvCache::KvCache(int64_t pages) : references_(pages) {
  for (int64_t p = pages; p-- > 0;)
    free_.push_back(static_cast<int32_t>(p)); // page 0 goes out first
}

std::span<const int32_t> KvCache::pages(Sequence sequence) const {
  auto found = tables_.find(sequence);
  return found == tables_.end() ? std::span<const int32_t>() : found->second;
}

int64_t KvCache::pagesNeeded(Sequence sequence, int64_t begin, int64_t end) const {
  std::span<const int32_t> held = pages(sequence);
  int64_t needed = std::max<int64_t>(0, pagesFor(end) - static_cast<int64_t>(held.size()));
  for (size_t i = begin / kPageTokens; i < held.size() && static_cast<int64_t>(i) * kPageTokens < end; ++i)
    needed += references_[held[i]] > 1;
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
    if (references_[table[i]] == 1)
      continue;
    int32_t own = take();
    work.copies.emplace_back(table[i], own);
    --references_[table[i]];
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
    ++references_[page];
  tables_[child] = std::move(shared);
}

void KvCache::release(Sequence sequence) {
  auto found = tables_.find(sequence);
  if (found == tables_.end())
    return;
  for (auto page = found->second.rbegin(); page != found->second.rend(); ++page) // the first page goes out next
    if (--references_[*page] == 0)
      free_.push_back(*page);
  tables_.erase(found);
}

int32_t KvCache::take() {
  int32_t page = free_.back();
  free_.pop_back();
  references_[page] = 1;
  return page;
}

} // namespace heddle
