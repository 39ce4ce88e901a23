// A rank's weights: exactly its rows, byte for byte, for any number of ranks.
#include "runtime/plan/WeightLoader.h"
#include "tests/unit/plan/TestPlan.h"
#include <gtest/gtest.h>

using namespace heddle;
using namespace heddle::test;

namespace {

class Loader : public testing::Test {
protected:
  TemporaryFolder folder;
  Manifest m = writePlan(folder / "a.plan", smallManifest());
  Plan plan = Plan::open(folder / "a.plan");
  std::string file = readFile(folder / "a.plan" / "weights.bin");

  /// The bytes that rank should hold of weight i, straight from the file.
  std::string_view expected(size_t i, int64_t rank, int64_t ranks) {
    const WeightEntry &w = m.weights[i];
    if (!w.packed)
      return std::string_view(file).substr(w.offset, w.bytes);
    Share rows = rowShare(w, rank, ranks);
    if (rows.size() == 0)
      return {};
    int64_t group = traits(w.format).groupBytes(w.columns);
    EXPECT_EQ(rows.begin % 16, 0);
    return std::string_view(file).substr(w.offset + rows.begin / 16 * group, (rows.end - rows.begin + 15) / 16 * group);
  }
};

TEST_F(Loader, EveryRankHoldsItsRows) {
  for (int64_t ranks : {1, 2, 3, 5, 6, 7, 16, 100})
    for (int64_t rank = 0; rank < ranks; ++rank) {
      std::atomic<uint64_t> progress = 0;
      RankWeights weights = RankWeights::load(plan, rank, ranks, {.threads = 3, .progress = &progress});
      EXPECT_EQ(progress, rankLayout(m, rank, ranks).segments.size()); // each is smaller than one read
      ASSERT_EQ(weights.offsets().size(), m.weights.size());
      EXPECT_EQ(reinterpret_cast<uintptr_t>(weights.data()) % (2 << 20), 0u);
      for (size_t i = 0; i < m.weights.size(); ++i) {
        auto want = expected(i, rank, ranks);
        int64_t at = weights.offsets()[i];
        ASSERT_EQ(at % 64, 0);
        ASSERT_LE(static_cast<uint64_t>(at) + want.size(), weights.bytes());
        ASSERT_EQ(std::string_view(reinterpret_cast<char *>(weights.data()) + at, want.size()), want)
            << m.weights[i].name << " rank " << rank << " of " << ranks;
      }
    }
}

TEST_F(Loader, LayoutHoldsNothingTwiceAndNothingElse) {
  RankLayout one = rankLayout(m, 0, 1);
  EXPECT_EQ(one.segments.size(), m.weights.size() - 1); // output.weight is token_embd
  EXPECT_EQ(one.offsets[7], one.offsets[0]);
  for (int64_t ranks : {1, 2, 5, 100})
    for (int64_t rank = 0; rank < ranks; ++rank) {
      RankLayout layout = rankLayout(m, rank, ranks);
      uint64_t end = 0, need = 0;
      for (const auto &s : layout.segments) {
        EXPECT_GE(s.to, end); // no overlap
        EXPECT_LT(s.to, end + 64);
        end = s.to + s.bytes;
      }
      EXPECT_EQ(end, layout.bytes);
      for (size_t i = 0; i < 7; ++i)
        need += expected(i, rank, ranks).size();
      EXPECT_LT(layout.bytes, need + 64 * m.weights.size());
    }
  EXPECT_LT(rankLayout(m, 3, 6).bytes, one.bytes - 15000);
}

TEST_F(Loader, AShareThatDoesNotBeginAligned) { // groups of 32 columns of q4_0 have 288 bytes, 64 · 4.5
  m.weights = {{"w", Format::Q4_0, 160, 32, true, ShareKind::Whole, 0, 1, 0, 2880},
               {"w", Format::Q4_0, 160, 32, true, ShareKind::Rows, 16, 1, 0, 2880}};
  for (int64_t rank = 0; rank < 10; ++rank) {
    RankLayout layout = rankLayout(m, rank, 10);
    EXPECT_EQ(layout.segments.size(), rank % 2 ? 2u : 1u);
    EXPECT_EQ(layout.offsets[1] % 64, 0);
    if (rank % 2 == 0)
      EXPECT_EQ(layout.offsets[1], rank * 288);
  }
}

TEST_F(Loader, ARankHoldsItsShareOfEachExpert) {
  Manifest experts = smallManifest("experts");
  experts.weights = {
      {"w", Format::Q4_0, 4 * 48, 32, true, ShareKind::Rows, 16, 1, 0, 0, 4}}; // four of three row groups of 288 bytes
  experts = writePlan(folder / "experts.plan", experts);
  Plan expertsPlan = Plan::open(folder / "experts.plan");
  const auto bytes = randomBytes(experts.weights[0].bytes, 0);
  const int64_t group = traits(Format::Q4_0).groupBytes(32);
  for (int64_t ranks : {1, 2, 3, 7})
    for (int64_t rank = 0; rank < ranks; ++rank) {
      RankWeights weights = RankWeights::load(expertsPlan, rank, ranks);
      const Share mine = share(3, rank, ranks);
      const int64_t size = mine.size() * group;
      for (int64_t expert = 0; expert < 4 && size; ++expert)
        EXPECT_EQ(std::memcmp(weights.data() + weights.offsets()[0] + expert * size,
                              bytes.data() + (expert * 3 + mine.begin) * group, static_cast<size_t>(size)),
                  0)
            << "expert " << expert << ", rank " << rank << " of " << ranks;
    }
}

TEST_F(Loader, LargeWeightsByManyReaders) {
  Manifest big = smallManifest("big");
  big.weights.resize(1);
  big.weights[0] = {"w", Format::Q8_0, 20000, 1024, true, ShareKind::Rows, 16, 1, 0, 0}; // 21 MiB, several reads
  big = writePlan(folder / "big.plan", big);
  Plan bigPlan = Plan::open(folder / "big.plan");
  auto bytes = randomBytes(big.weights[0].bytes, 0);
  for (int64_t rank = 0; rank < 2; ++rank) {
    RankWeights weights = RankWeights::load(bigPlan, rank, 2);
    uint64_t half = 10000 / 16 * traits(Format::Q8_0).groupBytes(1024);
    EXPECT_EQ(std::memcmp(weights.data() + weights.offsets()[0], bytes.data() + rank * half, half), 0);
  }
}

TEST_F(Loader, ADamagedRowGroupIsSeenByTheRanksThatReadIt) {
  for (size_t i = 0; i < m.weights.size() - 1; ++i) {
    const WeightEntry &w = m.weights[i];
    const uint64_t group = checkedBytes(w);
    for (uint64_t n = 0; n < w.bytes / group; n += 37) {
      std::string damaged = file;
      const uint64_t at = w.offset + n * group + n % group;
      damaged[at] = static_cast<char>(damaged[at] ^ 4);
      replaceFile(folder / "a.plan" / "weights.bin", damaged);
      int seen = 0;
      for (int64_t rank = 0; rank < 3; ++rank) {
        RankLayout layout = rankLayout(m, rank, 3);
        bool reads = std::ranges::any_of(layout.segments, [&](auto &s) { return at >= s.from && at < s.from + s.bytes; });
        std::string text = planErrorOf([&] { RankWeights::load(plan, rank, 3); });
        if (reads)
          EXPECT_CONTAINS(text, "weights.bin: is damaged between bytes " + std::to_string(at - n % group) + " and ");
        else
          EXPECT_EQ(text, "no error");
        seen += reads;
      }
      EXPECT_GE(seen, 1);
      EXPECT_CONTAINS(planErrorOf([&] { verifyPlan(plan); }), "weights.bin: is damaged");
    }
  }
  replaceFile(folder / "a.plan" / "weights.bin", file);
  EXPECT_EQ(planErrorOf([&] { verifyPlan(plan); }), "no error");
}

TEST_F(Loader, Errors) {
  EXPECT_CONTAINS(planErrorOf([&] { RankWeights::load(plan, 2, 2); }), "there is no rank 2 of 2");
  EXPECT_CONTAINS(planErrorOf([&] { RankWeights::load(plan, 0, 0); }), "there is no rank 0 of 0");
  fs::resize_file(folder / "a.plan" / "weights.bin", 1000); // after opening
  EXPECT_CONTAINS(planErrorOf([&] { RankWeights::load(plan, 0, 1); }), "weights.bin: ends at byte ");
  fs::remove(folder / "a.plan" / "weights.bin");
  EXPECT_CONTAINS(planErrorOf([&] { RankWeights::load(plan, 0, 1); }), "weights.bin: cannot open");
}

TEST_F(Loader, MovesKeepTheMemory) {
  RankWeights a = RankWeights::load(plan, 0, 1);
  std::byte *data = a.data();
  RankWeights b = std::move(a);
  EXPECT_EQ(b.data(), data);
  a = RankWeights::load(plan, 1, 2);
  a = std::move(b);
  EXPECT_EQ(a.data(), data);
  EXPECT_EQ(a.data()[0], randomBytes(1, 0)[0]);
}

} // namespace
