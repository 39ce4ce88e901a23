#include "runtime/kvcache/KvMemory.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>

using namespace heddle;

namespace {

std::vector<int32_t> pagesOf(const KvCache &cache, KvCache::Sequence s) {
  auto pages = cache.pages(s);
  return {pages.begin(), pages.end()};
}

TEST(KvCache, HandsPagesOutAsASequenceGrows) {
  KvCache cache(4);
  PageWork work;
  ASSERT_TRUE(cache.reserve(1, 0, 1, work));
  EXPECT_EQ(work.fresh, std::vector<int32_t>({0}));
  ASSERT_TRUE(cache.reserve(1, 1, 64, work));
  EXPECT_EQ(work.fresh.size(), 1u);
  ASSERT_TRUE(cache.reserve(1, 64, 129, work));
  EXPECT_EQ(pagesOf(cache, 1), std::vector<int32_t>({0, 1, 2}));
  EXPECT_EQ(work.fresh, std::vector<int32_t>({0, 1, 2}));
  EXPECT_EQ(cache.freePages(), 1);
  PageWork none;
  EXPECT_FALSE(cache.reserve(2, 0, 65, none)) << "needs two pages";
  EXPECT_TRUE(none.fresh.empty());
  EXPECT_TRUE(pagesOf(cache, 2).empty());
  cache.release(1);
  cache.release(1); // nothing left
  EXPECT_EQ(cache.freePages(), 4);
  ASSERT_TRUE(cache.reserve(2, 0, 65, none));
  EXPECT_EQ(none.fresh, std::vector<int32_t>({0, 1})) << "last freed first";
  EXPECT_THROW(cache.reserve(3, 10, 20, none), std::logic_error) << "positions before 10 are not there";
}

TEST(KvCache, ForksShareAndCopyOnWrite) {
  KvCache cache(8);
  PageWork work;
  ASSERT_TRUE(cache.reserve(1, 0, 100, work)); // pages 0, 1
  cache.fork(1, 2, 100);
  EXPECT_EQ(cache.freePages(), 6);
  EXPECT_EQ(cache.pagesNeeded(2, 100, 101), 1);
  work = {};
  ASSERT_TRUE(cache.reserve(2, 100, 101, work));
  EXPECT_EQ(work.copies, (std::vector<std::pair<int32_t, int32_t>>{{1, 2}}));
  EXPECT_TRUE(work.fresh.empty());
  EXPECT_EQ(pagesOf(cache, 1), std::vector<int32_t>({0, 1}));
  EXPECT_EQ(pagesOf(cache, 2), std::vector<int32_t>({0, 2}));
  work = {};
  ASSERT_TRUE(cache.reserve(1, 100, 101, work));
  EXPECT_TRUE(work.copies.empty()) << "page 1 is its own again";
  cache.release(1);
  EXPECT_EQ(cache.freePages(), 6) << "page 0 is still held";
  cache.release(2);
  EXPECT_EQ(cache.freePages(), 8);
  EXPECT_THROW(cache.fork(1, 3, 10), std::logic_error);
}

/// Any sequence of operations: contents written through the page tables, with the page work done, are read back.
TEST(KvCache, RandomUseNeverMixesSequences) {
  constexpr int64_t kPages = 12;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    KvCache cache(kPages);
    std::vector<std::vector<int32_t>> memory(kPages, std::vector<int32_t>(kPageTokens, -1));
    std::map<KvCache::Sequence, std::vector<int32_t>> model; // what each sequence must read
    KvCache::Sequence next = 0;
    for (int op = 0; op < 300; ++op) {
      uint32_t what = random() % 10;
      if (model.empty() || what == 0)
        model[next++];
      auto chosen = std::next(model.begin(), random() % model.size());
      auto &[sequence, values] = *chosen;
      if (what == 1) {
        cache.release(sequence);
        model.erase(chosen);
        continue;
      }
      if (what == 2 && !values.empty()) {
        size_t tokens = 1 + random() % values.size();
        cache.fork(sequence, next, static_cast<int64_t>(tokens));
        model[next++].assign(values.begin(), values.begin() + static_cast<int64_t>(tokens));
        continue;
      }
      int64_t begin = static_cast<int64_t>(values.size()), end = begin + 1 + random() % 90;
      PageWork work;
      int64_t needed = cache.pagesNeeded(sequence, begin, end), free = cache.freePages();
      bool done = cache.reserve(sequence, begin, end, work);
      ASSERT_EQ(done, needed <= free);
      ASSERT_EQ(cache.freePages(), done ? free - needed : free);
      if (!done)
        continue;
      for (auto [from, to] : work.copies)
        memory[to] = memory[from];
      for (int32_t page : work.fresh)
        memory[page].assign(kPageTokens, -1);
      for (int64_t p = begin; p < end; ++p) {
        values.push_back(static_cast<int32_t>(random() & 0xffff));
        int32_t &cell = memory[cache.pages(sequence)[p / kPageTokens]][p % kPageTokens];
        cell = values.back();
      }
      for (auto &[s, expected] : model)
        for (size_t p = 0; p < expected.size(); ++p)
          ASSERT_EQ(memory[cache.pages(s)[p / kPageTokens]][p % kPageTokens], expected[p]) << "seed " << seed << " op " << op;
    }
    for (auto &[s, expected] : model)
      cache.release(s);
    ASSERT_EQ(cache.freePages(), kPages);
  }
}

TEST(KvMemory, SizesFollowTheRanksHeads) {
  KvShape shape{.layers = 30, .heads = 9, .kvHeads = 3, .headDim = 64};
  EXPECT_EQ(shape.pageBytes(0, 1), 30 * 3 * 16384);
  EXPECT_EQ(shape.localHeads(0, 2), (Share{0, 2})); // query heads 0 … 3 read KV heads 0 and 1
  EXPECT_EQ(shape.pageBytes(1, 2), 30 * 2 * 16384);
  EXPECT_EQ(shape.pageBytes(0, 16), 0); // owns no head
  EXPECT_EQ(shape.pagesIn(uint64_t{100} * 30 * 3 * 16384 + 5), 100);
  KvMemory nothing(100, shape.pageBytes(0, 16));
  nothing.apply({.copies = {{1, 2}}, .fresh = {99}});
  EXPECT_NE(nothing.data(), nullptr);
}

TEST(KvMemory, CopiesThenZeroes) {
  KvMemory memory(3, 256);
  std::fill_n(memory.data(), 768, std::byte{7});
  memory.apply({.copies = {}, .fresh = {0}});
  std::fill_n(memory.data(), 256, std::byte{9});
  memory.apply({.copies = {{0, 2}}, .fresh = {1}});
  EXPECT_EQ(std::count(memory.data(), memory.data() + 256, std::byte{9}), 256);
  EXPECT_EQ(std::count(memory.data() + 256, memory.data() + 512, std::byte{0}), 256);
  EXPECT_EQ(std::count(memory.data() + 512, memory.data() + 768, std::byte{9}), 256);
}

TEST(HugeBuffer, IsAlignedZeroAndMovable) {
  HugeBuffer buffer(3 << 20, "a test");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % (2 << 20), 0u);
  EXPECT_EQ(std::count(buffer.data(), buffer.data() + buffer.size(), std::byte{0}), 3 << 20);
  buffer.data()[5] = std::byte{1};
  HugeBuffer other = std::move(buffer);
  EXPECT_EQ(other.data()[5], std::byte{1});
  other = HugeBuffer();
  EXPECT_EQ(other.size(), 0u);
  EXPECT_THROW(HugeBuffer(size_t{1} << 60, "a test"), std::runtime_error);
}

} // namespace
