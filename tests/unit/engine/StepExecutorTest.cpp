// The runtime side of Frame.h: buffers, floating-point environment, and code that is loaded at run time.
#include "runtime/engine/StepExecutor.h"
#include "tests/unit/engine/FakeModel.h"
#include <atomic>
#include <cstring>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <xmmintrin.h>

using namespace heddle;
using namespace heddle::test;

namespace {

StepPlan planOf(int64_t tokens) {
  StepPlan plan;
  for (int64_t t = 0; t < tokens; ++t) {
    plan.ids.push_back(static_cast<int32_t>(t));
    plan.positions.push_back(static_cast<int32_t>(t));
    plan.sequences.push_back(0);
  }
  StatePages &pages = plan.states.emplace_back();
  pages.width = KvCache::pagesFor(tokens);
  for (int32_t p = 0; p < pages.width; ++p)
    pages.table.push_back(p), pages.work.fresh.push_back(p);
  plan.rows = {static_cast<int32_t>(tokens - 1)};
  return plan;
}

struct Seen { // by the step function below; behind its "weights"
  std::atomic<int64_t> calls = 0, badControl = 0, misaligned = 0, wrongSize = 0;
  int64_t threads = 0, arenaPerToken = 0;
};

void look(const Frame *frame, int64_t) {
  Seen &seen = *reinterpret_cast<Seen *>(const_cast<std::byte *>(frame->weights));
  ++seen.calls;
  seen.badControl += _mm_getcsr() != 0x1f80;
  const StateView &kv = *frame->states[0];
  for (const void *buffer :
       {static_cast<const void *>(frame->ids), static_cast<const void *>(frame->positions),
        static_cast<const void *>(frame->sequenceOf), static_cast<const void *>(frame->wantedRows),
        static_cast<const void *>(frame->firstRows), static_cast<const void *>(frame->lastRows),
        static_cast<const void *>(frame->types), static_cast<const void *>(kv.pageTable), static_cast<const void *>(kv.memory),
        static_cast<const void *>(frame->outputs[0]), static_cast<const void *>(frame->outputs[1]),
        static_cast<const void *>(frame->arena), static_cast<const void *>(frame->partials)})
    seen.misaligned += reinterpret_cast<uintptr_t>(buffer) % 64 != 0;
  std::memset(frame->arena, 1, static_cast<size_t>(frame->tokens * seen.arenaPerToken)); // sanitizers would tell
  std::memset(frame->outputs[1], 1, static_cast<size_t>(frame->tokens) * 32 * sizeof(float));
  seen.wrongSize += frame->threads != seen.threads || frame->version != kFrameVersion || frame->sequences != 1;
}

/// A model whose only entry is `function`, with one output of a row of 16 for each wanted token.
StepModel modelOf(EntryFunction function, void *weights, int64_t arenaBytes) {
  StepModel model;
  model.entries = {{"step", function, {{RowsOf::Wanted, 10, 16}}}};
  model.weights = static_cast<const std::byte *>(weights);
  model.vocabulary = 10, model.arenaBytesPerToken = arenaBytes, model.context = 640;
  model.kv.states = {{1, 1, 1, 1}};
  return model;
}

TEST(StepExecutor, EveryThreadGetsAlignedBuffersAndTheOneFloatEnvironment) {
  for (int64_t threads : {1, 2, 5}) {
    Seen seen;
    seen.threads = threads;
    seen.arenaPerToken = 1000;
    StepModel model = modelOf(look, &seen, 1000);
    model.entries[0].outputs.push_back({RowsOf::Tokens, 20, 32});
    auto self = makeSelfCommunicator();
    StepExecutor executor(model, {600, 1, 640}, 10, threads, *self);
    unsigned before = _mm_getcsr();
    // Flush to zero, denormals are zero, round towards zero; no exception noted so far, as OpenMP forgets those.
    _mm_setcsr(((before | 0x8040) ^ 0x6000) & ~0x3fu);
    unsigned odd = _mm_getcsr();
    for (int64_t tokens : {1, 600, 3}) {
      StepPlan plan = planOf(tokens);
      executor.run(plan);
    }
    EXPECT_EQ(_mm_getcsr(), odd) << "the caller's environment must come back";
    _mm_setcsr(before);
    EXPECT_EQ(seen.calls, 3 * threads);
    EXPECT_EQ(seen.badControl, 0);
    EXPECT_EQ(seen.misaligned, 0);
    EXPECT_EQ(seen.wrongSize, 0);
  }
}

TEST(StepExecutor, AStepThatHasNoRoomDoesNotRun) {
  Seen seen;
  seen.threads = 1, seen.arenaPerToken = 1000;
  StepModel model = modelOf(look, &seen, 1000);
  auto self = makeSelfCommunicator();
  StepExecutor executor(model, {20, 1, 640}, 10, 1, *self);
  StepPlan tokens = planOf(21), rows = planOf(20);
  rows.rows = {18, 19};
  EXPECT_THROW(executor.run(tokens), std::logic_error);
  EXPECT_THROW(executor.run(rows), std::logic_error);
  EXPECT_EQ(seen.calls, 0);
}

struct SeenStates { // by the function below
  std::vector<std::vector<int32_t>> tables, lengths;
  std::vector<int64_t> widths;
  std::vector<int32_t> first, last, types;
};
void lookAtStates(const Frame *frame, int64_t) {
  SeenStates &seen = *reinterpret_cast<SeenStates *>(const_cast<std::byte *>(frame->weights));
  seen = {};
  seen.first.assign(frame->firstRows, frame->firstRows + frame->sequences);
  seen.last.assign(frame->lastRows, frame->lastRows + frame->sequences);
  seen.types.assign(frame->types, frame->types + frame->tokens);
  for (int64_t s = 0; s < 4; ++s) {
    const StateView &view = *frame->states[s];
    seen.widths.push_back(view.pageTableWidth);
    seen.tables.emplace_back(view.pageTable, view.pageTable + frame->sequences * view.pageTableWidth);
    seen.lengths.emplace_back(view.lengths, view.lengths + frame->sequences);
    std::memset(view.memory, 1, 3 * 256); // pages of 2 · 64 values of f16, or rows of 16 f32; sanitizers would tell
  }
}

TEST(StepExecutor, EachStateHasItsOwnTableAndLengths) {
  SeenStates seen;
  StepModel model = modelOf(lookAtStates, &seen, 64);
  model.kv.states = {{1, 1, 1, 1},
                     {1, 1, 1, 1, KvType::F16, StateKind::Fixed},
                     {4, 0, 0, 0, KvType::F16, StateKind::Recurrent, 16},
                     {1, 1, 1, 1, KvType::F16, StateKind::Transient}};
  model.entries[0].states = {{0, Access::Update}, {1, Access::Read}, {2, Access::Update}, {3, Access::Update}};
  auto self = makeSelfCommunicator();
  StepExecutor executor(model, {68, 2, 640}, 10, 1, *self);
  StepPlan plan;
  for (int32_t sequence : {0, 1})
    for (int32_t t = 0; t < (sequence ? 3 : 65); ++t)
      plan.ids.push_back(1), plan.positions.push_back(t), plan.sequences.push_back(sequence);
  plan.states = {{{}, {4, 5, 6, 0}, 2}, {{}, {1, 2, 3, 7, 0, 0}, 3, {130, 1}}, {{}, {8, 7}, 1}, {}};
  ASSERT_NE(executor.run(plan), nullptr);
  EXPECT_EQ(seen.widths, (std::vector<int64_t>{2, 3, 1, 2}));
  EXPECT_EQ(seen.tables[0], (std::vector<int32_t>{4, 5, 6, 0}));
  EXPECT_EQ(seen.tables[1], (std::vector<int32_t>{1, 2, 3, 7, 0, 0}));
  EXPECT_EQ(seen.tables[2], (std::vector<int32_t>{8, 7}));
  EXPECT_EQ(seen.tables[3], (std::vector<int32_t>{0, 1, 2, 0})) << "pages of its own, one after another";
  EXPECT_EQ(seen.lengths[0], (std::vector<int32_t>{65, 3}));
  EXPECT_EQ(seen.lengths[1], (std::vector<int32_t>{130, 1}));
  EXPECT_EQ(seen.lengths[3], (std::vector<int32_t>{65, 3}));
  EXPECT_EQ(seen.first, (std::vector<int32_t>{0, 65}));
  EXPECT_EQ(seen.last, (std::vector<int32_t>{64, 67}));
  EXPECT_EQ(seen.types, std::vector<int32_t>(68));
  plan.types.assign(68, 1);
  executor.run(plan);
  EXPECT_EQ(seen.types, std::vector<int32_t>(68, 1));
  // As many sequences as rows, and a page more for each 64 tokens: four single tokens find no room.
  StepExecutor small(model, {4, 2, 640}, 10, 1, *self);
  StepPlan four;
  for (int32_t sequence = 0; sequence < 4; ++sequence)
    four.ids.push_back(1), four.positions.push_back(0), four.sequences.push_back(sequence);
  four.states = {{{}, {0, 1, 2, 3}, 1}, {{}, {0, 1, 2, 3}, 1, {1, 1, 1, 1}}, {{}, {0, 1, 2, 3}, 1}, {}};
  EXPECT_THROW(small.run(four), std::logic_error);
}

/// code/TARGET.so is loaded like this file (Loaded.cpp), which calls the two functions of the executable.
TEST(StepExecutor, LoadedCodeFindsTheRuntimesFunctions) {
  void *library = dlopen(HEDDLE_LOADED_STEP, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  StepModel model = fakeModel();
  model.entries[0].function = reinterpret_cast<EntryFunction>(dlsym(library, "heddle_entry_step"));
  ASSERT_NE(model.entries[0].function, nullptr);
  auto self = makeSelfCommunicator();
  StepExecutor executor(model, {4, 1, 640}, 10, 3, *self);
  StepPlan plan = planOf(4);
  const float *logits = executor.run(plan)->front();
  EXPECT_EQ(logits[0], 3 * 4); // threads that met at the barrier, times tokens
  EXPECT_EQ(logits[1], 3);     // and at the gather
  dlclose(library);
}

/// Passes barriers until somebody raises the flag, which lies behind its "weights", or at most 2,000 of them.
struct Left {
  std::atomic<bool> flag = false;
  std::atomic<int64_t> passed = 0, ended = 0, raiseAt = 0;
};
void passBarriers(const Frame *frame, int64_t thread) {
  Left &left = *reinterpret_cast<Left *>(const_cast<std::byte *>(frame->weights));
  for (int64_t i = 0; i < 2000; ++i) {
    if (thread == 0 && ++left.passed == left.raiseAt)
      left.flag = true;
    heddle_barrier(frame, thread, nullptr);
  }
  ++left.ended;
}

TEST(StepExecutor, AStepIsLeftByAllThreadsWhileTheFlagIsUp) {
  for (int64_t threads : {1, 2, 5}) {
    Left left;
    StepModel model = modelOf(passBarriers, &left, 64);
    auto self = makeSelfCommunicator();
    StepExecutor executor(model, {1, 1, 640}, 10, threads, *self);
    executor.leaveStepsWhile(left.flag);
    for (int64_t round = 0; round < 50; ++round) {
      left.flag = false, left.passed = 0, left.ended = 0;
      left.raiseAt = 1 + round * 7;
      StepPlan plan = planOf(1);
      EXPECT_EQ(executor.run(plan), nullptr);
      EXPECT_EQ(left.ended, 0);
      EXPECT_EQ(left.passed, left.raiseAt) << "it ends at the next barrier";
    }
    left.flag = false, left.passed = 0, left.raiseAt = 0;
    StepPlan plan = planOf(1);
    EXPECT_NE(executor.run(plan), nullptr);
    EXPECT_EQ(left.ended, threads);
  }
}

} // namespace
