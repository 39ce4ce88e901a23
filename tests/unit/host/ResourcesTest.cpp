#include "runtime/host/Resources.h"
#include "tests/unit/host/FakeHost.h"
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <thread>

using namespace heddle;
using namespace heddle::test;

namespace {

constexpr uint64_t kNoLimit = UINT64_MAX;

TEST(Cores, TheTightestOfMaskAndQuotaCounts) {
  FakeHost host;
  HostView view{.root = host.root(), .machineCores = 8, .affinityCores = 8};
  EXPECT_EQ(describe(usableCores(view)), "8 cores");
  view.affinityCores = 6;
  EXPECT_EQ(describe(usableCores(view)), "6 of 8 cores: the CPU affinity of this process");
  host.write("/sys/fs/cgroup/cpu.max", "400000 100000");
  EXPECT_EQ(describe(usableCores(view)), "4 of 8 cores: a CPU quota of 4 cores (" + host.named("/sys/fs/cgroup/cpu.max") + ")");
  view.affinityCores = 3;
  EXPECT_EQ(describe(usableCores(view)), "3 of 8 cores: the CPU affinity of this process");
  view.machineCores = 4000; // more than a cpu_set_t holds
  view.affinityCores = 2000;
  host.write("/sys/fs/cgroup/cpu.max", "max 100000");
  EXPECT_EQ(usableCores(view).usable, 2000);
}

TEST(Cores, PartsOfACoreAreRoundedUp) {
  for (auto [quota, cores] : {std::pair("1000 100000", 1),
                              {"50000 100000", 1},
                              {"100000 100000", 1},
                              {"104000 100000", 1},
                              {"150000 100000", 2},
                              {"200001 100000", 2},
                              {"210000 100000", 3},
                              {"1600000 100000", 8}}) {
    FakeHost host;
    host.write("/sys/fs/cgroup/cpu.max", quota);
    EXPECT_EQ(usableCores({.root = host.root(), .machineCores = 8, .affinityCores = 8}).usable, cores) << quota;
  }
}

TEST(Cores, TheRealMaskIsRead) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  std::thread([&] { // its own mask; the others keep theirs
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
      if (CPU_ISSET(cpu, &before))
        CPU_SET(cpu, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    FakeHost host;
    EXPECT_EQ(usableCores({.root = host.root()}).usable, 1);
    EXPECT_EQ(defaultThreads(1, {.root = host.root()}), 1);
  })
      .join();
}

TEST(Cores, RanksOfAHostShareThem) {
  FakeHost host;
  HostView view{.root = host.root(), .machineCores = 64, .affinityCores = 64};
  host.write("/sys/fs/cgroup/cpu.max", "700000 100000");
  EXPECT_EQ(defaultThreads(1, view), 7);
  EXPECT_EQ(defaultThreads(2, view), 3);
  EXPECT_EQ(defaultThreads(7, view), 1);
  EXPECT_EQ(defaultThreads(1000, view), 1);
  EXPECT_EQ(defaultThreads(0, view), 7);
}

TEST(Memory, OfAMachineWithoutLimits) {
  FakeHost host;
  host.write("/proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1000 kB\nMemAvailable:   8000000 kB\nHugePages_Total: 0\n");
  Memory memory = usableMemory({.root = host.root(), .addressLimit = kNoLimit, .dataLimit = kNoLimit});
  EXPECT_EQ(memory.total, uint64_t{16000000} * 1024);
  EXPECT_EQ(memory.available, uint64_t{8000000} * 1024);
  EXPECT_EQ(memory.shared, memory.available);
  EXPECT_EQ(memory.limit, "");
}

TEST(Memory, TheTightestLimitIsNamed) {
  FakeHost host;
  host.write("/proc/meminfo",
             "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\nCommitLimit: 3000000 kB\nCommitted_AS: 500000 kB\n");
  host.write("/proc/self/status", "Name:\tx\nVmSize:\t  100000 kB\nVmData:\t  10000 kB\n");
  HostView view{.root = host.root(), .addressLimit = kNoLimit, .dataLimit = kNoLimit};

  host.write("/proc/sys/vm/overcommit_memory", "2\n");
  EXPECT_EQ(usableMemory(view).available, uint64_t{2500000} * 1024);
  EXPECT_NE(usableMemory(view).limit.find("vm.overcommit_memory is 2"), std::string::npos);
  host.write("/proc/sys/vm/overcommit_memory", "1\n");
  EXPECT_EQ(usableMemory(view).available, uint64_t{8000000} * 1024);

  host.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "400000000");
  host.write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "150000000");
  Memory group = usableMemory(view);
  EXPECT_EQ(group.total, 400000000u);
  EXPECT_EQ(group.available, 250000000u);
  EXPECT_EQ(group.shared, 250000000u);
  EXPECT_EQ(group.limit, "a memory limit of 400.0 MB (" + host.named("/sys/fs/cgroup/memory/memory.limit_in_bytes") + ")");

  host.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "12000000000"); // less than the machine has, more than is free
  EXPECT_EQ(usableMemory(view).available, uint64_t{8000000} * 1024);
  EXPECT_EQ(usableMemory(view).limit, "") << "raising it would not help";
  EXPECT_NE(usableMemory(view).totalLimit, "");
  host.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "400000000");

  view.addressLimit = 300000000; // of each process, not of all together
  Memory process = usableMemory(view);
  EXPECT_EQ(process.total, 300000000u);
  EXPECT_EQ(process.available, 300000000u - 100000 * 1024);
  EXPECT_EQ(process.shared, 250000000u);
  EXPECT_EQ(process.limit, "a limit of 300.0 MB on this process (ulimit -v)");

  view.dataLimit = 200000000;
  EXPECT_EQ(usableMemory(view).available, 200000000u - 10000 * 1024);
  EXPECT_EQ(usableMemory(view).limit, "a limit of 200.0 MB on this process (ulimit -d)");

  host.write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "500000000"); // above its limit, for a moment
  EXPECT_EQ(usableMemory(view).available, 0u);
}

TEST(Memory, TheRealLimitOfTheProcessIsRead) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_DATA, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = rlim_t{1} << 46; // more than a sanitizer has mapped
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &tight), 0);
  FakeHost host;
  host.write("/proc/meminfo", "MemTotal: 160000000000000 kB\nMemAvailable: 80000000000000 kB\n");
  EXPECT_EQ(usableMemory({.root = host.root()}).total, uint64_t{1} << 46);
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &before), 0);
}

TEST(Memory, OfThisMachine) {
  Memory memory = usableMemory();
  EXPECT_GT(memory.available, 1u << 20);
  EXPECT_LE(memory.available, memory.shared);
  EXPECT_LE(memory.shared, memory.total);
  EXPECT_NO_THROW(requireMemory(4096, "a test", "nothing"));
  try {
    requireMemory(uint64_t{1} << 60, "a test", "take less");
    FAIL();
  } catch (const std::runtime_error &error) {
    std::string text = error.what();
    EXPECT_TRUE(text.starts_with("no memory for a test: 1152921504.61 GB are needed and ")) << text;
    EXPECT_TRUE(text.ends_with("; take less")) << text;
  }
}

} // namespace
