//===- StepProfileTest.cpp - times and work are booked to the right kernels -----------------------------------------===//
#include "runtime/engine/StepProfile.h"
#include <cstring>
#include <gtest/gtest.h>

using namespace heddle;
using std::chrono::milliseconds;

namespace {

/// A StepKernel with its name behind it, as compiled code holds it.
struct Kernel {
  alignas(StepKernel) char bytes[sizeof(StepKernel) + 32] = {};
  StepKernel *operator->() { return reinterpret_cast<StepKernel *>(bytes); }
  const StepKernel *get() { return reinterpret_cast<StepKernel *>(bytes); }
  explicit Kernel(const char *name) { std::strcpy(bytes + offsetof(StepKernel, name), name); }
};

/// Two sequences: positions 3, 4, 5 of one and 9 of the other, whose logits alone are wanted.
StepPlan fourTokens() {
  StepPlan plan;
  plan.ids = {1, 2, 3, 4};
  plan.positions = {3, 4, 5, 9};
  plan.sequences = {0, 0, 0, 1};
  plan.rows = {3};
  return plan;
}

TEST(StepProfile, BooksTimeWorkAndWaiting) {
  Kernel product("block.product"), output("step.output"), attention("block.attention");
  product->weightBytes = 1000, product->integerMacs = 10;
  output->weightBytes = 500, output->floatMacs = 7, output->wanted = 1;
  attention->keyBytes = 8, attention->keyMacs = 3, attention->window = 4;
  StepProfile profile(/*threads=*/2, /*ranks=*/2);
  profile.begin(fourTokens());
  for (int64_t thread : {0, 1}) {
    profile.start(thread);
    auto now = StepProfile::Clock::now();
    // A part without a kernel belongs to the kernel after it; thread 0 arrives late, so thread 1 waits.
    auto arrived = now + milliseconds(thread ? 100 : 400), passed = now + milliseconds(500);
    profile.reached(thread, nullptr, arrived, passed, passed);
    now = StepProfile::Clock::now();
    profile.reached(thread, attention.get(), now + milliseconds(250), now + milliseconds(250), now + milliseconds(1250));
    for (Kernel *kernel : {&product, &output, &product}) {
      now = StepProfile::Clock::now();
      profile.reached(thread, kernel->get(), now + milliseconds(10), now + milliseconds(10), now + milliseconds(10));
    }
  }
  std::vector<KernelTime> kernels = profile.kernels();
  ASSERT_EQ(kernels.size(), 3u);
  EXPECT_EQ(kernels[0].name, "block.attention") << "the longest first";
  EXPECT_EQ(kernels[0].calls, 1);
  EXPECT_NEAR(kernels[0].seconds, 0.75, 0.05);
  EXPECT_NEAR(kernels[0].waiting, (0.1 + 0.4) / 2, 0.05);
  EXPECT_NEAR(kernels[0].gathering, 1.0, 0.05);
  EXPECT_EQ(kernels[0].floatOperations, 0.5 * 2 * (4 + 4 + 4 + 4) * 3) << "each token sees four keys; half of them on this rank";
  EXPECT_EQ(kernels[0].bytes, 0.5 * 8 * (6 + 4)) << "keys 0 to 5 of one sequence and 6 to 9 of the other, each once";
  EXPECT_EQ(kernels[1].name, "block.product");
  EXPECT_EQ(kernels[1].calls, 2);
  EXPECT_EQ(kernels[1].bytes, 0.5 * 2 * 1000);
  EXPECT_EQ(kernels[1].integerOperations, 0.5 * 2 * 2 * 4 * 10);
  EXPECT_EQ(kernels[2].bytes, 0.5 * 500);
  EXPECT_EQ(kernels[2].floatOperations, 0.5 * 2 * 1 * 7) << "one row of logits is wanted";
}

/// Of experts a row reads those that it chose, many rows at most all of them.
TEST(StepProfile, ExpertsAreReadByThoseThatChoseThem) {
  Kernel few("block.few"), many("block.many");
  few->weightBytes = 1000, few->rowBytes = 100;
  many->weightBytes = 1000, many->rowBytes = 500;
  StepProfile profile(/*threads=*/1, /*ranks=*/1);
  profile.begin(fourTokens());
  profile.start(0);
  auto now = StepProfile::Clock::now();
  profile.reached(0, few.get(), now, now + milliseconds(200), now + milliseconds(200));
  profile.reached(0, many.get(), now, now + milliseconds(500), now + milliseconds(500));
  std::vector<KernelTime> kernels = profile.kernels();
  ASSERT_EQ(kernels.size(), 2u);
  for (const KernelTime &kernel : kernels)
    EXPECT_EQ(kernel.bytes, kernel.name == "block.few" ? 4 * 100 : 1000) << kernel.name;
}

/// A step in the middle of a prompt computes no logits, and reads no head.
TEST(StepProfile, NoWantedRowsReadNoWeights) {
  Kernel output("step.output");
  output->weightBytes = 500, output->integerMacs = 7, output->wanted = 1;
  StepPlan plan = fourTokens();
  plan.rows.clear();
  StepProfile profile(1, 1);
  profile.begin(plan);
  profile.start(0);
  auto now = StepProfile::Clock::now();
  profile.reached(0, output.get(), now, now, now);
  EXPECT_EQ(profile.kernels()[0].bytes, 0);
  EXPECT_EQ(profile.kernels()[0].integerOperations, 0);
}

} // namespace
