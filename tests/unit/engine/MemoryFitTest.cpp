#include "runtime/engine/MemoryFit.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <thread>

using namespace heddle;

namespace {

constexpr uint64_t kMega = 1'000'000;
const StateShapes kShape{
    {{.layers = 10, .heads = 8, .kvHeads = 4, .headDim = 64}}}; // a page of all heads: 10 · 4 · 16 KiB = 655,360 bytes

RankMemory rankOn(const std::string &machine, uint64_t available, uint64_t own = UINT64_MAX) {
  RankMemory rank{machine, "host-" + machine, {}};
  rank.memory.total = 16'000 * kMega;
  rank.memory.shared = available;
  rank.memory.available = std::min(available, own);
  rank.memory.limit = "a limit";
  return rank;
}

TEST(MemoryFit, OneRankHasWhatItsWeightsLeave) {
  MemoryFit fit({rankOn("a", 1000 * kMega)}, {700 * kMega}, kShape);
  EXPECT_EQ(fit.pages(), (1000 - 700 - 50) * 1000000 / 655360); // a twentieth stays free
  EXPECT_EQ(fit.total(), 16'000 * kMega);
}

TEST(MemoryFit, RanksOfAHostShareItsMemory) {
  MemoryFit fit({rankOn("a", 1000 * kMega), rankOn("a", 990 * kMega)}, {300 * kMega, 200 * kMega}, kShape);
  EXPECT_EQ(fit.pages(), (990 - 500 - 50) * 1000000 / 655360);
}

TEST(MemoryFit, TheTightestHostDecides) {
  MemoryFit fit({rankOn("a", 8000 * kMega), rankOn("b", 1000 * kMega)}, {500 * kMega, 500 * kMega}, kShape);
  EXPECT_EQ(fit.pages(), (1000 - 500 - 50) * 1000000 / 327680); // half of the heads
  EXPECT_NE(fit.refusal(10'000, "x").find("and 1.00 GB are available, with a limit;"), std::string::npos);
}

TEST(MemoryFit, AProcessMayHaveALimitOfItsOwn) {
  MemoryFit fit({rankOn("a", 8000 * kMega, 1000 * kMega), rankOn("a", 8000 * kMega)}, {500 * kMega, 500 * kMega}, kShape);
  EXPECT_LT(fit.pages(), 450'000'000 / 327680);
  EXPECT_GT(fit.pages(), 300'000'000 / 327680);
  EXPECT_NE(fit.refusal(10'000, "x").find("with a limit; raise that limit, use a smaller"), std::string::npos);
}

TEST(MemoryFit, WhatDoesNotFitIsRefusedWithBothSizes) {
  MemoryFit fit({rankOn("a", 400 * kMega)}, {660 * kMega}, kShape);
  EXPECT_EQ(fit.pages(), 0);
  EXPECT_EQ(
      fit.refusal(8, "a KV cache of 512 tokens"),
      "the model does not fit into memory: it needs 685.2 MB, 660.0 MB for weights and buffers and 5.2 MB for a KV cache of "
      "512 tokens, and 400.0 MB are available, with a limit; use a smaller or more quantised model, a shorter context, less "
      "--kv-memory, --kv-type q8 or more hosts");
  StateShapes q8 = kShape;
  q8.states[0].type = KvType::Q8;
  MemoryFit two({rankOn("a", 400 * kMega), rankOn("a", 400 * kMega)}, {330 * kMega, 330 * kMega}, q8);
  EXPECT_NE(two.refusal(8, "x").find("the 2 ranks on host-a need 682."), std::string::npos) << two.refusal(8, "x");
  EXPECT_EQ(two.refusal(8, "x").find("--kv-type"), std::string::npos);
}

TEST(MemoryFit, ARankWithoutHeadsNeedsNoPages) {
  std::vector<RankMemory> ranks;
  for (int64_t r = 0; r < 12; ++r)
    ranks.push_back(rankOn(std::to_string(r), kShape.pageBytes(r, 12) ? 8000 * kMega : 100 * kMega));
  EXPECT_EQ(std::count_if(ranks.begin(), ranks.end(), [](const RankMemory &r) { return r.memory.shared == 100 * kMega; }), 4);
  MemoryFit fit(ranks, std::vector<uint64_t>(12, 50 * kMega), kShape);
  EXPECT_GT(fit.pages(), 1000);
}

TEST(MemoryFit, RanksTellOneAnother) {
  auto group = makeThreadCommunicators(2);
  std::vector<RankMemory> other;
  std::thread peer([&] { other = exchangeMemory(*group[1]); });
  std::vector<RankMemory> mine = exchangeMemory(*group[0]);
  peer.join();
  ASSERT_EQ(mine.size(), 2u);
  ASSERT_EQ(other.size(), 2u);
  for (int r = 0; r < 2; ++r) {
    EXPECT_EQ(mine[r].machine, mine[0].machine);
    EXPECT_FALSE(mine[r].host.empty());
    EXPECT_GT(mine[r].memory.available, 0u);
    EXPECT_EQ(mine[r].memory.available, other[r].memory.available);
    EXPECT_EQ(mine[r].memory.limit, other[r].memory.limit);
  }
}

} // namespace
