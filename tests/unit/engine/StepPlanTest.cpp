#include "runtime/engine/StepPlan.h"
#include <functional>
#include <gtest/gtest.h>
#include <random>

using namespace heddle;

namespace {

/// Entry 0 acts on the paged state alone, entry 1 reads the fixed one and updates the recurrent one, entry 2 uses the transient
/// one.
const StepLimits kLimits{.vocabulary = 100,
                         .context = 256,
                         .pages = 10,
                         .tokens = 8,
                         .rows = 2,
                         .states = {StateKind::Paged, StateKind::Fixed, StateKind::Recurrent, StateKind::Transient},
                         .entries = {{{0, Access::Update}}, {{1, Access::Read}, {2, Access::Update}}, {{3, Access::Update}}},
                         .tokenTypes = 3};

StepPlan sample() {
  StepPlan plan;
  plan.epoch = 3;
  plan.ids = {5, 6, 99};
  plan.positions = {63, 64, 255};
  plan.sequences = {0, 0, 1};
  plan.rows = {1, 2};
  plan.types = {0, 2, 1};
  plan.states.resize(4);
  plan.states[0] = {{{{1, 3}}, {2, 9}}, {1, 2, 0, 0, 3, 4, 5, 9}, 4};
  return plan;
}

/// Of entry 1: sequences of 70 and of 3 positions in the fixed state, rows 8 and 7.
StepPlan other() {
  StepPlan plan = sample();
  plan.entry = 1;
  plan.states[0] = {};
  plan.states[1] = {{}, {1, 2, 3, 0}, 2, {70, 3}};
  plan.states[2] = {{}, {8, 7}, 1};
  return plan;
}

TEST(StepPlan, ComesBackAsItWasSent) {
  StepPlan plan = sample(), got = StepPlan::parse(plan.serialize(), kLimits);
  EXPECT_EQ(got.epoch, 3u);
  EXPECT_FALSE(got.stop);
  EXPECT_EQ(got.ids, plan.ids);
  EXPECT_EQ(got.positions, plan.positions);
  EXPECT_EQ(got.sequences, plan.sequences);
  EXPECT_EQ(got.rows, plan.rows);
  EXPECT_EQ(got.types, plan.types);
  ASSERT_EQ(got.states.size(), 4u);
  EXPECT_EQ(got.states[0].table, plan.states[0].table);
  EXPECT_EQ(got.states[0].width, 4);
  EXPECT_EQ(got.states[0].work.fresh, plan.states[0].work.fresh);
  EXPECT_EQ(got.states[0].work.copies, plan.states[0].work.copies);
  plan = other(), got = StepPlan::parse(plan.serialize(), kLimits);
  EXPECT_EQ(got.entry, 1);
  EXPECT_EQ(got.states[1].lengths, plan.states[1].lengths);
  EXPECT_EQ(got.states[2].table, plan.states[2].table);
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
      [](StepPlan &p) { p.states[0].table[3] = 10; },
      [](StepPlan &p) { p.states[0].table.pop_back(); },
      [](StepPlan &p) { p.states[0].width = 2; }, // position 255 has no page then
      [](StepPlan &p) { p.states[0].width = 0; },
      [](StepPlan &p) { p.states[0].width = 5; },
      [](StepPlan &p) { p.states[0].width = -4; },
      [](StepPlan &p) { p.rows = {2, 1}; },
      [](StepPlan &p) { p.rows = {1, 1}; },
      [](StepPlan &p) { p.rows = {3}; },
      [](StepPlan &p) { p.rows = {0, 1, 2}; },
      [](StepPlan &p) { p.states[0].work.fresh = {10}; },
      [](StepPlan &p) { p.states[0].work.copies = {{0, 10}}; },
      [](StepPlan &p) { p.states[0].work.copies = {{-1, 0}}; },
      [](StepPlan &p) { p.ids.assign(9, 0), p.positions.assign(9, 0), p.sequences.assign(9, 0); },
  };
  for (size_t i = 0; i < std::size(damages); ++i) {
    StepPlan plan = sample();
    damages[i](plan);
    EXPECT_THROW(StepPlan::parse(plan.serialize(), kLimits), StepPlanError) << "damage " << i;
  }
}

TEST(StepPlan, StatesOfOtherKindsAreCheckedByWhatTheEntryDoes) {
  const std::pair<const char *, std::function<void(StepPlan &)>> damages[] = {
      {"it calls an entry that the program does not have", [](StepPlan &p) { p.entry = 3; }},
      {"the program has another number of states", [](StepPlan &p) { p.states.pop_back(); }},
      {"a fixed state has no length for each sequence", [](StepPlan &p) { p.states[1].lengths.pop_back(); }},
      {"a fixed state's length has no page", [](StepPlan &p) { p.states[1].lengths[1] = 129; }},
      {"a fixed state's length has no page", [](StepPlan &p) { p.states[1].lengths[0] = 0; }},
      {"a page is outside of the cache", [](StepPlan &p) { p.states[2].table[0] = 10; }},
      {"the page table is wider than the context", [](StepPlan &p) { p.states[2].table.resize(4), p.states[2].width = 2; }},
      {"the page table has no row for each sequence", [](StepPlan &p) { p.states[2].table.resize(1); }},
      {"a position has no page", [](StepPlan &p) { p.states[2] = {}; }},
      {"a sequence is not whole from position 0 on", [](StepPlan &p) { p.entry = 2; }},
  };
  EXPECT_EQ(StepPlan::parse(other().serialize(), kLimits).entry, 1);
  for (const auto &[message, damage] : damages) {
    StepPlan plan = other();
    damage(plan);
    try {
      StepPlan::parse(plan.serialize(), kLimits);
      ADD_FAILURE() << "not refused: " << message;
    } catch (const StepPlanError &error) {
      EXPECT_EQ(std::string(error.what()), std::string("step plan: ") + message);
    }
  }
  StepPlan whole = other();
  whole.entry = 2, whole.positions = {0, 1, 0};
  EXPECT_EQ(StepPlan::parse(whole.serialize(), kLimits).entry, 2);
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
        size_t entry = plan.sequences[t] * plan.states[0].width + plan.positions[t] / 64;
        if (plan.entry != 0)
          continue;
        ASSERT_LT(entry, plan.states[0].table.size());
        ASSERT_LT(static_cast<uint32_t>(plan.states[0].table[entry]), 10u);
      }
    } catch (const StepPlanError &) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10000);
}

} // namespace
