// Shares: every unit belongs to exactly one rank, and the rows a rank holds are those its heads need.
#include "runtime/plan/Plan.h"
#include <gtest/gtest.h>

using namespace heddle;

namespace {

TEST(Share, CutsEverythingOnce) {
  for (int64_t units : {0, 1, 3, 9, 36, 1000000007})
    for (int64_t ranks : {1, 2, 3, 5, 7, 16, 1000}) {
      int64_t next = 0, least = units, most = 0;
      for (int64_t rank = 0; rank < ranks; ++rank) {
        Share s = share(units, rank, ranks);
        ASSERT_EQ(s.begin, next);
        ASSERT_GE(s.end, s.begin);
        next = s.end;
        least = std::min(least, s.size());
        most = std::max(most, s.size());
      }
      ASSERT_EQ(next, units);
      ASSERT_LE(most - least, 1);
    }
}

TEST(Share, KvHeadsOfQueryHeads) { // SmolLM2: 9 heads, 3 KV heads
  EXPECT_EQ(kvShare({0, 4}, 3), (Share{0, 2}));
  EXPECT_EQ(kvShare({4, 9}, 3), (Share{1, 3}));
  EXPECT_EQ(kvShare({3, 6}, 3), (Share{1, 2}));
  EXPECT_EQ(kvShare({4, 4}, 3).size(), 0);
}

TEST(RowShare, EveryKind) {
  WeightEntry w{"w", Format::F16, 576, 576, true, ShareKind::Heads, 64, 1, 0, 0};
  EXPECT_EQ(rowShare(w, 0, 2), (Share{0, 256}));
  EXPECT_EQ(rowShare(w, 1, 2), (Share{256, 576}));
  EXPECT_EQ(rowShare(w, 0, 16).size(), 0); // more ranks than heads
  w.rows = 192;
  w.share = ShareKind::KvHeads, w.group = 3; // 9 query heads
  EXPECT_EQ(rowShare(w, 0, 2), (Share{0, 128}));
  EXPECT_EQ(rowShare(w, 1, 2), (Share{64, 192}));
  EXPECT_EQ(rowShare(w, 0, 16).size(), 0);
  w.share = ShareKind::Whole;
  EXPECT_EQ(rowShare(w, 7, 16), (Share{0, 192}));
  w = {"head", Format::Q8_0, 49152 + 100, 576, true, ShareKind::Rows, 1024, 1, 0, 0}; // 49 units, the last one short
  EXPECT_EQ(rowShare(w, 0, 2), (Share{0, 24576}));
  EXPECT_EQ(rowShare(w, 1, 2), (Share{24576, 49252}));
  int64_t next = 0;
  for (int rank = 0; rank < 60; ++rank) {
    Share s = rowShare(w, rank, 60);
    EXPECT_EQ(s.begin, next);
    next = s.end;
  }
  EXPECT_EQ(next, 49252);
}

} // namespace
