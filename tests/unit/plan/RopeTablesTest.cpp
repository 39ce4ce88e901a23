// RoPE tables against libm in f64, and their layout.
#include "runtime/plan/RopeTables.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace heddle;

namespace {

/// Angles agree to about 1e-16 · angle, so the tables to that plus one f32 rounding.
void expectTable(const RopeTable &rope, int64_t positions, const float *table) {
  const std::vector<double> &factors = positions > rope.original && !rope.longFactors.empty() ? rope.longFactors : rope.factors;
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t i = 0; i < rope.dims / 2; ++i) {
      double factor = factors.empty() ? 1 : factors[i];
      double angle = p * (std::pow(rope.base, -2.0 * i / rope.dims) / (rope.linearScale * factor));
      double tolerance = 0x1p-25 * rope.magnitude + 1e-15 * (1 + angle);
      ASSERT_NEAR(table[(p * (rope.dims / 2) + i) * 2], std::cos(angle) * rope.magnitude, 2 * tolerance) << p << " " << i;
      ASSERT_NEAR(table[(p * (rope.dims / 2) + i) * 2 + 1], std::sin(angle) * rope.magnitude, 2 * tolerance) << p << " " << i;
    }
}

TEST(RopeTables, SeveralTablesInOneBuffer) {
  std::vector<RopeTable> ropes = {{10000.0, 64, 1.0, {}},
                                  {500000.0, 6, 8.0, {1.0, 2.5, 8.0}}, // 6 · 5 floats: the next one is padded to 16
                                  {1000000.0, 256, 1.0, {}}};
  RopeTables tables(ropes, 5);
  ASSERT_EQ(tables.offsets().size(), 3u);
  EXPECT_EQ(tables.offsets()[0], 0);
  EXPECT_EQ(tables.offsets()[1], 320);
  EXPECT_EQ(tables.offsets()[2], 352);
  EXPECT_EQ(tables.size(), 352 + 5 * 256);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tables.data()) % 64, 0u);
  for (size_t i = 0; i < ropes.size(); ++i)
    expectTable(ropes[i], 5, tables.data() + tables.offsets()[i]);
}

TEST(RopeTables, LongContexts) {
  RopeTable rope{10000.0, 8, 1.0, {}};
  std::vector<float> table(200000 * 8);
  fillRopeTable(rope, 200000, table.data());
  expectTable(rope, 200000, table.data());
  EXPECT_EQ(table[0], 1.0f); // position 0 turns nothing
  EXPECT_EQ(table[1], 0.0f);
}

TEST(RopeTables, TheServedContextChoosesTheFactors) {
  const RopeTable rope{10000.0, 4, 1.0, {1, 1.5}, {2, 32}, 64, 1.25};
  for (int64_t positions : {64, 65}) {
    std::vector<float> table(static_cast<size_t>(positions) * 4);
    fillRopeTable(rope, positions, table.data());
    expectTable(rope, positions, table.data());
    EXPECT_FLOAT_EQ(table[5], static_cast<float>(1.25 * std::sin(positions > 64 ? 0.5 : 1.0))); // position 1, pair 0
    EXPECT_EQ(table[0], 1.25f);
  }
}

TEST(RopeTables, RefusesAnglesBeyondItsDomain) {
  RopeTable rope{10000.0, 2, 1e-6, {}};
  std::vector<float> table(2 * 2000);
  EXPECT_THROW(fillRopeTable(rope, 2000, table.data()), PlanError);
  EXPECT_NO_THROW(fillRopeTable(rope, 1000, table.data()));
}

TEST(RopeTables, NoTables) {
  RopeTables tables({}, 10);
  EXPECT_EQ(tables.offsets().size(), 0u);
  EXPECT_NE(tables.data(), nullptr);
}

} // namespace
