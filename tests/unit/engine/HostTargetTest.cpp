#include "runtime/engine/HostTarget.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdexcept>

using namespace heddle;

namespace {

const std::vector<std::string> kVnni = {"x86-64-v4+vnni", "x86-64-v4", "x86-64-v3"}, kAvxVnni = {"x86-64-v3+vnni", "x86-64-v3"},
                               kAvx2 = {"x86-64-v3"};

TEST(HostTarget, TheBestThatThePlanHasIsChosen) {
  std::vector<std::string> two = {"x86-64-v3", "x86-64-v4"};
  EXPECT_EQ(chooseTarget(two, kVnni, "", "p"), "x86-64-v4");
  EXPECT_EQ(chooseTarget(two, kAvx2, "", "p"), "x86-64-v3");
  EXPECT_EQ(chooseTarget(two, kAvxVnni, "", "p"), "x86-64-v3");
  EXPECT_EQ(chooseTarget(kAvxVnni, kAvxVnni, "", "p"), "x86-64-v3+vnni");
  EXPECT_EQ(chooseTarget(two, kVnni, "x86-64-v3", "p"), "x86-64-v3");
}

void expectRefused(const std::vector<std::string> &available, const std::vector<std::string> &hosts, const std::string &wanted,
                   const std::string &message) {
  try {
    chooseTarget(available, hosts, wanted, "m.plan");
    FAIL() << message;
  } catch (const std::runtime_error &error) {
    EXPECT_EQ(error.what(), message);
  }
}

TEST(HostTarget, RefusalsNameTheCommand) {
  std::vector<std::string> v4 = {"x86-64-v4"};
  expectRefused(
      v4, kAvx2, "",
      "m.plan has code for x86-64-v4, not for x86-64-v3 of this CPU; add it by `heddle compile m.plan --target x86-64-v3`");
  expectRefused(
      v4, kVnni, "x86-64-v3",
      "m.plan has code for x86-64-v4, not for x86-64-v3 of this CPU; add it by `heddle compile m.plan --target x86-64-v3`");
  expectRefused(v4, kAvx2, "x86-64-v4", "this CPU cannot run target x86-64-v4; it can run: x86-64-v3");
  expectRefused(v4, {}, "", "this CPU is older than x86-64-v3 (AVX2, FMA, F16C): Heddle cannot run on it");
}

/// Binds this thread to the first `count` of the CPUs that it may use; put back at the end.
class Bound {
public:
  explicit Bound(int count) {
    sched_getaffinity(0, sizeof all_, &all_);
    cpu_set_t few;
    CPU_ZERO(&few);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&few) < count; ++cpu)
      if (CPU_ISSET(cpu, &all_))
        CPU_SET(cpu, &few);
    sched_setaffinity(0, sizeof few, &few);
    bound_ = CPU_COUNT(&few) == count;
  }
  ~Bound() { sched_setaffinity(0, sizeof all_, &all_); }
  bool bound() const { return bound_; }

private:
  cpu_set_t all_;
  bool bound_;
};

TEST(HostTarget, ThreadsAreTheCoresThatTheProcessMayUseSharedByTheRanksOfAHost) {
  for (int cores : {1, 2, 3, 4}) {
    Bound bound(cores);
    if (!bound.bound())
      break; // a smaller machine
    EXPECT_EQ(defaultThreads(1), cores);
    EXPECT_EQ(defaultThreads(2), std::max(1, cores / 2));
    EXPECT_EQ(defaultThreads(1000000), 1);
  }
}

} // namespace
