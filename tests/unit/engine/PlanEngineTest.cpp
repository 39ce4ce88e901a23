// The engine over a plan on disk: weights, code and geometry come from there.
#include "runtime/engine/PlanEngine.h"
#include "runtime/plan/PlanWriter.h"
#include "runtime/plan/Targets.h"
#include "tests/unit/engine/EngineHarness.h"
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

using namespace heddle;
using namespace heddle::test;

namespace {

/// A plan whose only weight holds the fake model's options, and whose code is the fake model.
class PlanEngine : public testing::Test {
protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("heddle-plan-engine-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Plan writePlan(const std::string &name, const std::string &target, const std::string &key) {
    FakeModelOptions options;
    static_assert(sizeof options % 4 == 0);
    PlanWriter writer(folder_ / name);
    Manifest manifest;
    manifest.name = "fake", manifest.architecture = "fake", manifest.build = "test", manifest.key = key;
    manifest.targets = {target};
    StepModel model = fakeModel(options);
    manifest.vocabulary = model.vocabulary, manifest.width = 32, manifest.frameVersion = kFrameVersion;
    manifest.entries = {{"step", model.entries[0].outputs, model.entries[0].states}};
    manifest.context = model.context, manifest.arenaBytesPerToken = (model.arenaBytesPerToken + 63) / 64 * 64;
    const StateShape &kv = model.kv.states[0];
    manifest.states = {{"kv", kv.layers, kv.heads, kv.kvHeads, kv.headDim}};
    manifest.endOfText = model.endOfText;
    uint64_t offset = writer.addWeight(std::as_bytes(std::span(&options, 1)));
    manifest.weights = {{"options", Format::F32, 1, sizeof options / 4, false, ShareKind::Whole, 0, 1, offset, sizeof options}};
    std::ifstream code(HEDDLE_LOADED_MODEL, std::ios::binary);
    writer.addFile("code/" + target + ".so",
                   std::string((std::istreambuf_iterator<char>(code)), std::istreambuf_iterator<char>()));
    writer.finish(manifest);
    return Plan::open(folder_ / name);
  }

  std::filesystem::path folder_;
};

TEST_F(PlanEngine, RunsTheCodeOfThePlanOnAnyRanks) {
  Plan plan = writePlan("a.plan", "x86-64-v3", "0123456789abcdef");
  Request request{1, promptOf(100, 3), {}};
  request.sampling.maxTokens = 8;
  request.sampling.ignoreEnd = true;
  std::vector<int32_t> want;
  withEngine(fakeModel(), {}, 1, nullptr, [&](Engine &engine) { want = idsOf(runAll(engine, {request}).at(1)); });
  for (int64_t ranks : {1, 2, 3}) {
    auto group = makeThreadCommunicators(ranks);
    std::vector<std::jthread> others;
    for (int64_t r = 1; r < ranks; ++r)
      others.emplace_back([&, rank = std::move(group[r])] { Engine(plan, {}, *rank).follow(); });
    Engine engine(plan, {.threads = 2, .context = 128}, *group[0]);
    EXPECT_EQ(engine.context(), 128);
    EXPECT_EQ(idsOf(runAll(engine, {request}).at(1)), want) << ranks << " ranks";
  }
}

TEST_F(PlanEngine, APlanForAnotherCpuIsRefusedWithTheCommand) {
  Plan plan = writePlan("b.plan", "x86-64-v9", "0123456789abcdef");
  auto self = makeSelfCommunicator();
  try {
    Engine engine(plan, {}, *self);
    FAIL();
  } catch (const std::runtime_error &error) {
    std::string path = plan.directory().string();
    EXPECT_EQ(error.what(), path + " has code for x86-64-v9, not for " + hostTargets()[0] +
                                " of this CPU; add it by `heddle compile " + path + " --target " + hostTargets()[0] + "`");
  }
}

TEST_F(PlanEngine, AnotherPlanOnAnotherRankIsNamed) {
  Plan one = writePlan("a.plan", "x86-64-v3", "0123456789abcdef"), two = writePlan("b.plan", "x86-64-v3", "fedcba9876543210");
  auto group = makeThreadCommunicators(2);
  auto message = [&](const Plan &plan, Communicator &rank) -> std::string {
    try {
      Engine engine(plan, {}, rank);
      return "none";
    } catch (const std::runtime_error &error) {
      return error.what();
    }
  };
  std::string onOther;
  std::jthread other([&] { onOther = message(two, *group[1]); });
  std::string mine = message(one, *group[0]);
  other.join();
  EXPECT_TRUE(mine.starts_with("rank 1 on host ")) << mine;
  EXPECT_TRUE(mine.ends_with(
      " has another plan (fedcba987654) than rank 0 (0123456789ab); copy the same plan to the same path on every host"))
      << mine;
  EXPECT_EQ(onOther, mine);
}

} // namespace
