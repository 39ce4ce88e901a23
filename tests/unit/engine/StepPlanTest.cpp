#include "runtime/engine/StepPlan.h"
#include <functional>
#include <gtest/gtest.h>
#include <random>

using namespace heddle;

namespace {

constexpr StepLimits kLimits{.vocabulary = 100, .context = 256, .pages = 10, .tokens = 8, .rows = 2};

StepPlan sample() {
  StepPlan plan;
  plan.epoch = 3;
  plan.ids = {5, 6, 99};
  plan.positions = {63, 64, 255};
  plan.sequences = {0, 0, 1};
  plan.pageTableWidth = 4;
  plan.pageTable = {1, 2, 0, 0, 3, 4, 5, 9};
  plan.rows = {1, 2};
  plan.pageWork.fresh = {2, 9};
  plan.pageWork.copies = {{1, 3}};
  return plan;
}

TEST(StepPlan, ComesBackAsItWasSent) {
  StepPlan plan = sample(), got = StepPlan::parse(plan.serialize(), kLimits);
  EXPECT_EQ(got.epoch, 3u);
  EXPECT_FALSE(got.stop);
  EXPECT_EQ(got.ids, plan.ids);
  EXPECT_EQ(got.positions, plan.positions);
  EXPECT_EQ(got.sequences, plan.sequences);
  EXPECT_EQ(got.pageTable, plan.pageTable);
  EXPECT_EQ(got.pageTableWidth, 4);
  EXPECT_EQ(got.rows, plan.rows);
  EXPECT_EQ(got.pageWork.fresh, plan.pageWork.fresh);
  EXPECT_EQ(got.pageWork.copies, plan.pageWork.copies);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(got.ids.data()) % 64, 0u);
  StepPlan stop;
  stop.stop = true;
  EXPECT_TRUE(StepPlan::parse(stop.serialize(), kLimits).stop);
}

TEST(StepPlan, WhatWouldLeaveABufferIsRefused) {
  const std::function<void(StepPlan &)> damages[] = {
      [](StepPlan &p) { p.ids[1] = 100; },
      [](StepPlan &p) { p.ids[1] = -1; },
      [](StepPlan &p) { p.positions[0] = 256; },
      [](StepPlan &p) { p.positions.pop_back(); },
      [](StepPlan &p) { p.sequences[2] = 2; },
      [](StepPlan &p) { p.sequences.push_back(0); },
      [](StepPlan &p) { p.pageTable[3] = 10; },
      [](StepPlan &p) { p.pageTable.pop_back(); },
      [](StepPlan &p) { p.pageTableWidth = 2; }, // position 255 has no page then
      [](StepPlan &p) { p.pageTableWidth = 0; },
      [](StepPlan &p) { p.pageTableWidth = 5; },
      [](StepPlan &p) { p.pageTableWidth = -4; },
      [](StepPlan &p) { p.rows = {2, 1}; },
      [](StepPlan &p) { p.rows = {1, 1}; },
      [](StepPlan &p) { p.rows = {3}; },
      [](StepPlan &p) { p.rows = {0, 1, 2}; },
      [](StepPlan &p) { p.pageWork.fresh = {10}; },
      [](StepPlan &p) { p.pageWork.copies = {{0, 10}}; },
      [](StepPlan &p) { p.pageWork.copies = {{-1, 0}}; },
      [](StepPlan &p) { p.ids.assign(9, 0), p.positions.assign(9, 0), p.sequences.assign(9, 0); },
  };
  for (size_t i = 0; i < std::size(damages); ++i) {
    StepPlan plan = sample();
    damages[i](plan);
    EXPECT_THROW(StepPlan::parse(plan.serialize(), kLimits), StepPlanError) << "damage " << i;
  }
}

TEST(StepPlan, CutOffOrLongerMessagesAreRefused) {
  std::vector<std::byte> message = sample().serialize();
  for (size_t n = 0; n < message.size(); ++n)
    EXPECT_THROW(StepPlan::parse(std::span(message).first(n), kLimits), StepPlanError) << n;
  message.push_back(std::byte{0});
  EXPECT_THROW(StepPlan::parse(message, kLimits), StepPlanError);
}

TEST(StepPlan, AnyFlippedByteIsRefusedOrWithinLimits) {
  std::vector<std::byte> message = sample().serialize();
  std::mt19937 random(1);
  int refused = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    std::vector<std::byte> damaged = message;
    damaged[random() % damaged.size()] ^= static_cast<std::byte>(1 << random() % 8);
    try {
      StepPlan plan = StepPlan::parse(damaged, kLimits);
      ASSERT_EQ(plan.positions.size(), plan.ids.size());
      for (size_t t = 0; t < plan.ids.size(); ++t) {
        ASSERT_LT(static_cast<uint32_t>(plan.ids[t]), 100u);
        size_t entry = plan.sequences[t] * plan.pageTableWidth + plan.positions[t] / 64;
        ASSERT_LT(entry, plan.pageTable.size());
        ASSERT_LT(static_cast<uint32_t>(plan.pageTable[entry]), 10u);
      }
    } catch (const StepPlanError &) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10000);
}

} // namespace
