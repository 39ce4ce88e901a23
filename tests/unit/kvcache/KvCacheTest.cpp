#include "runtime/kvcache/KvMemory.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
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

std::vector<int32_t> counting(int32_t first, int64_t count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

TEST(KvCache, WhatASequenceLeavesIsSharedUpToTheFirstOtherToken) {
  KvCache cache(8);
  PageWork work;
  std::vector<int32_t> text = counting(0, 150);
  ASSERT_TRUE(cache.reserve(1, 0, 150, work)); // pages 0, 1, 2
  cache.retire(1, text);
  EXPECT_EQ(cache.freePages(), 8) << "its room is free for whoever needs it";
  EXPECT_TRUE(cache.pages(1).empty());

  std::vector<int32_t> other(text.begin(), text.begin() + 140);
  other.push_back(-1);
  EXPECT_EQ(cache.share(2, other), 140);
  EXPECT_EQ(pagesOf(cache, 2), std::vector<int32_t>({0, 1, 2}));
  EXPECT_EQ(cache.freePages(), 5);
  EXPECT_EQ(cache.pagesNeeded(2, 140, 141), 1) << "page 2 stays as it was left";
  work = {};
  ASSERT_TRUE(cache.reserve(2, 140, 141, work));
  EXPECT_EQ(work.copies, (std::vector<std::pair<int32_t, int32_t>>{{2, 3}}));
  EXPECT_EQ(cache.share(3, counting(1, 10)), 0) << "the same tokens elsewhere in a text are another text";
  EXPECT_EQ(cache.share(3, text), 150);
  EXPECT_THROW(cache.share(3, text), std::logic_error);
  cache.release(3);
  cache.release(2);
  EXPECT_EQ(cache.freePages(), 8);
}

TEST(KvCache, TheRoomOfWhatWasUsedLongestAgoIsTakenFirst) {
  KvCache cache(4);
  PageWork work;
  for (KvCache::Sequence s : {1, 2}) {
    ASSERT_TRUE(cache.reserve(s, 0, 128, work));
    cache.retire(s, counting(static_cast<int32_t>(s) * 1000, 128));
  }
  EXPECT_EQ(cache.share(3, counting(1000, 128)), 128);
  cache.release(3); // 1 was used last
  ASSERT_TRUE(cache.reserve(4, 0, 65, work));
  EXPECT_EQ(cache.share(5, counting(2000, 128)), 0);
  EXPECT_EQ(cache.share(6, counting(1000, 128)), 128);
  PageWork none;
  EXPECT_FALSE(cache.reserve(7, 0, 1, none)) << "what somebody holds is not taken";
}

TEST(KvCache, AFullerPageTakesThePlaceOfItsBeginning) {
  KvCache cache(8);
  PageWork work;
  for (int64_t tokens : {10, 20, 30, 64, 70}) {
    KvCache::Sequence s = static_cast<KvCache::Sequence>(tokens);
    int64_t held = cache.share(s, counting(0, tokens));
    EXPECT_EQ(held, tokens == 10 ? 0 : tokens == 20 ? 10 : tokens == 30 ? 20 : tokens == 64 ? 30 : 64);
    ASSERT_TRUE(cache.reserve(s, held, tokens, work));
    cache.retire(s, counting(0, tokens));
    EXPECT_EQ(cache.freePages(), 8);
  }
  EXPECT_EQ(cache.share(1, counting(0, 100)), 70);
  EXPECT_EQ(cache.pages(1).size(), 2u);
}

/// Sequences of few different tokens that leave their pages, share what others left, fork and go: each reads what it wrote itself
/// or what another wrote for the same beginning.
TEST(KvCache, RandomSharingGivesWhatTheTokensSay) {
  constexpr int64_t kPages = 12;
  for (uint32_t seed = 0; seed < 100; ++seed) {
    std::mt19937 random(seed);
    KvCache cache(kPages);
    std::vector<std::vector<uint64_t>> memory(kPages, std::vector<uint64_t>(kPageTokens));
    auto value = [](std::span<const int32_t> tokens) { // of the last of them, from all of them
      uint64_t hash = 1;
      for (int32_t token : tokens)
        hash = (hash + static_cast<uint64_t>(token)) * 0x9e3779b97f4a7c15;
      return hash;
    };
    std::map<KvCache::Sequence, std::vector<int32_t>> running;
    KvCache::Sequence next = 0;
    int64_t shared = 0;
    for (int op = 0; op < 200; ++op) {
      uint32_t what = random() % 8;
      if (running.empty() || what == 0) {
        std::vector<int32_t> wanted(1 + random() % 200);
        for (size_t i = 0; i < wanted.size(); ++i)
          wanted[i] = static_cast<int32_t>(i % 50 == 49 ? random() % 2 : i);
        int64_t got = cache.share(next, wanted);
        shared += got;
        wanted.resize(static_cast<size_t>(got));
        running[next++] = wanted;
      }
      auto chosen = std::next(running.begin(), random() % running.size());
      auto &[sequence, tokens] = *chosen;
      if (what == 1 || what == 2) {
        what == 1 ? cache.retire(sequence, tokens) : cache.release(sequence);
        running.erase(chosen);
      } else if (what == 3 && !tokens.empty()) {
        size_t count = 1 + random() % tokens.size();
        cache.fork(sequence, next, static_cast<int64_t>(count));
        running[next++].assign(tokens.begin(), tokens.begin() + static_cast<int64_t>(count));
      } else {
        int64_t begin = static_cast<int64_t>(tokens.size()), end = begin + 1 + random() % 70;
        PageWork work;
        int64_t needed = cache.pagesNeeded(sequence, begin, end), free = cache.freePages();
        bool done = cache.reserve(sequence, begin, end, work);
        ASSERT_EQ(done, needed <= free) << "seed " << seed << " op " << op;
        if (!done)
          continue;
        for (auto [from, to] : work.copies)
          memory[to] = memory[from];
        for (int32_t page : work.fresh)
          memory[page].assign(kPageTokens, 0);
        for (int64_t p = begin; p < end; ++p) {
          tokens.push_back(static_cast<int32_t>(p % 50 == 49 ? random() % 2 : p));
          memory[cache.pages(sequence)[p / kPageTokens]][p % kPageTokens] = value(tokens);
        }
      }
      for (auto &[s, all] : running)
        for (size_t p = 0; p < all.size(); ++p)
          ASSERT_EQ(memory[cache.pages(s)[p / kPageTokens]][p % kPageTokens], value(std::span(all).first(p + 1)))
              << "seed " << seed << " op " << op;
    }
    EXPECT_GT(shared, 0) << "this test is there to share";
    for (auto &[s, all] : running)
      cache.release(s);
    ASSERT_EQ(cache.freePages(), kPages);
    PageWork work;
    ASSERT_TRUE(cache.reserve(next, 0, kPages * kPageTokens, work)) << "all that is kept can be taken";
  }
}

TEST(KvMemory, SizesFollowTheRanksHeads) {
  StateShape shape{.layers = 30, .heads = 9, .kvHeads = 3, .headDim = 64};
  EXPECT_EQ(shape.pageBytes(0, 1), 30 * 3 * 16384);
  EXPECT_EQ(shape.localHeads(0, 2), (Share{0, 2})); // query heads 0 … 3 read KV heads 0 and 1
  EXPECT_EQ(shape.pageBytes(1, 2), 30 * 2 * 16384);
  EXPECT_EQ(shape.pageBytes(0, 16), 0); // owns no head
  StateShapes both{{shape, {.layers = 2, .heads = 9, .kvHeads = 9, .headDim = 16, .type = KvType::Q8}}};
  const uint64_t page = 30 * 3 * 16384 + 2 * 9 * 2 * 64 * (16 + 4);
  EXPECT_EQ(both.wholePageBytes(), page);
  EXPECT_EQ(both.pagesIn(100 * page + 5), 100);
  EXPECT_EQ(both.partialFloats(0, 1), 9 * (64 + 16));
  EXPECT_EQ(both.partialFloats(0, 16), 0);
  KvMemory nothing(100, shape.pageBytes(0, 16));
  nothing.apply({.copies = {{1, 2}}, .fresh = {99}});
  EXPECT_NE(nothing.data(), nullptr);
}

TEST(KvMemory, StatesOfOtherKinds) {
  StateShapes all{{{.layers = 6, .heads = 8, .kvHeads = 8, .headDim = 64, .kind = StateKind::Fixed},
                   {.layers = 6, .heads = 0, .kvHeads = 0, .headDim = 0, .kind = StateKind::Recurrent, .features = 500},
                   {.layers = 1, .heads = 12, .kvHeads = 12, .headDim = 64, .kind = StateKind::Transient}}};
  EXPECT_EQ(all.states[1].pageBytes(0, 1), 6 * 512 * 4); // whole vectors
  EXPECT_EQ(all.states[1].pageBytes(0, 3), 6 * 160 * 4); // units [0, 10) of 32
  EXPECT_EQ(all.states[1].pageBytes(2, 3), 6 * 176 * 4);
  EXPECT_EQ(all.states[1].pageBytes(0, 33), 0); // owns nothing
  EXPECT_EQ(all.pageBytes(0, 1), 6 * 8 * 16384 + 6 * 512 * 4) << "a transient state is no part of what is kept";
  EXPECT_EQ(all.transientBytes(0, 1), 12 * 16384);
  EXPECT_EQ(all.transientBytes(1, 2), 6 * 16384);
  EXPECT_EQ(all.partialFloats(0, 1), 12 * (64 + 16));
  EXPECT_TRUE(all.keep());
  EXPECT_FALSE(StateShapes({{all.states[2]}}).keep());
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

} // namespace
