#include "runtime/host/Cgroups.h"
#include "tests/unit/host/FakeHost.h"
#include <gtest/gtest.h>

using namespace heddle;
using namespace heddle::test;

namespace {

double coresOf(const FakeHost &host) {
  auto quota = cpuQuota(host.root());
  return quota ? quota->cores : -1;
}

TEST(CpuQuota, NothingSaysNothing) {
  FakeHost host;
  EXPECT_FALSE(cpuQuota(host.root()));
  EXPECT_TRUE(memoryGroups(host.root()).empty());
}

TEST(CpuQuota, Version2OfTheOwnGroupAndOfAllAbove) {
  FakeHost host;
  host.write("/proc/self/cgroup", "0::/a.slice/b.service/c\n");
  host.write("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
  host.write("/sys/fs/cgroup/a.slice/b.service/c/cpu.max", "400000 100000\n");
  EXPECT_EQ(coresOf(host), 4);
  host.write("/sys/fs/cgroup/a.slice/cpu.max", "75000 50000\n"); // nested: the one above is tighter
  EXPECT_EQ(coresOf(host), 1.5);
  EXPECT_EQ(cpuQuota(host.root())->file, host.named("/sys/fs/cgroup/a.slice/cpu.max"));
  host.write("/sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n");
  host.write("/sys/fs/cgroup/other.slice/cpu.max", "1000 100000\n"); // not ours
  EXPECT_EQ(coresOf(host), 1.5);
}

TEST(CpuQuota, Version1WithItsControllersMountedTogether) {
  FakeHost host;
  host.write("/proc/self/cgroup", "12:memory:/m\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n");
  host.write("/proc/self/mountinfo",
             "30 25 0:26 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
             "31 25 0:27 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n");
  host.write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n"); // the mount's top is our group
  host.write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(coresOf(host), 2.5);
  host.write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(coresOf(host), -1);
}

TEST(CpuQuota, Version1Nested) {
  FakeHost host;
  host.write("/proc/self/cgroup", "4:cpu:/outer/inner\n");
  host.write("/proc/self/mountinfo", "30 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
  for (const char *group : {"/outer", "/outer/inner"})
    host.write("/sys/fs/cgroup/cpu" + std::string(group) + "/cpu.cfs_period_us", "100000");
  host.write("/sys/fs/cgroup/cpu/outer/inner/cpu.cfs_quota_us", "-1");
  host.write("/sys/fs/cgroup/cpu/outer/cpu.cfs_quota_us", "300000");
  EXPECT_EQ(coresOf(host), 3);
}

TEST(CpuQuota, BothVersionsSideBySide) {
  FakeHost host;
  host.write("/proc/self/cgroup", "4:cpu:/a\n0::/b\n");
  host.write("/proc/self/mountinfo", "30 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                                     "31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  host.write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "300000");
  host.write("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000");
  host.write("/sys/fs/cgroup/unified/b/cpu.max", "200000 100000");
  EXPECT_EQ(coresOf(host), 2);
}

TEST(CpuQuota, AMountThatIsNotWhereOthersAre) {
  FakeHost host;
  host.write("/proc/self/cgroup", "0::/x\n");
  host.write("/proc/self/mountinfo", "41 31 0:38 / /mnt/my\\040groups rw - cgroup2 none rw\n");
  host.write("/mnt/my groups/x/cpu.max", "100000 100000\n");
  EXPECT_EQ(coresOf(host), 1);
}

TEST(CpuQuota, APathThatDoesNotExistBelowTheMountFallsBackToItsTop) {
  for (const char *path : {"0::/docker/0123\n", "0::/../../outside\n", "0::/gone (deleted)\n", "9:cpu:/a/b\n", ""}) {
    FakeHost host; // mountinfo tells of nothing: somebody mounted something else there
    host.write("/proc/self/cgroup", path);
    host.write("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    EXPECT_EQ(coresOf(host), 1) << path;
  }
  FakeHost host;
  host.write("/proc/self/cgroup", "3:cpu,cpuacct:/docker/0123\n");
  host.write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
  host.write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(coresOf(host), 0.5);
}

TEST(CpuQuota, AMountThatShowsAnotherPartOfTheTree) {
  FakeHost host;
  host.write("/proc/self/cgroup", "0::/a/b\n");
  host.write("/proc/self/mountinfo", "41 31 0:38 /a/bee /sys/fs/cgroup rw - cgroup2 none rw\n");
  host.write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(coresOf(host), 2); // what a container with a path of the host's sees
}

TEST(CpuQuota, AGroupOutsideOfTheNamespaceIsNotThatOfItsName) {
  FakeHost host;
  host.write("/proc/self/cgroup", "0::/../other\n");
  host.write("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 none rw\n");
  host.write("/sys/fs/cgroup/other/cpu.max", "100000 100000\n");
  EXPECT_EQ(coresOf(host), -1);
  host.write("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  EXPECT_EQ(coresOf(host), 3);
}

TEST(CpuQuota, WhatIsNoQuotaLimitsNothing) {
  for (const char *text : {"", "\n", "max", "max 100000", "0 100000", "100000 0", "-1 100000", "x y", "1e5 100000",
                           "99999999999999999999999 1", "100000 max"}) {
    FakeHost host;
    host.write("/sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(coresOf(host), -1) << text;
  }
  FakeHost host;
  host.write("/sys/fs/cgroup/cpu.max", "150000"); // the period may be left out
  EXPECT_EQ(coresOf(host), 1.5);
  host.write("/proc/self/mountinfo", "\n1\n1 2 3 4 5 6\n1 2 3 / /x rw -\n1 2 3 / /x rw - cgroup\n");
  host.write("/proc/self/cgroup", "\n0\n0:\n0::\n::::\n");
  EXPECT_EQ(coresOf(host), 1.5);
}

TEST(MemoryGroups, Version2CountsWhatCannotBeTakenBack) {
  FakeHost host;
  host.write("/proc/self/cgroup", "0::/a/b\n");
  host.write("/proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 none rw\n");
  host.write("/sys/fs/cgroup/a/b/memory.max", "400000000\n");
  host.write("/sys/fs/cgroup/a/b/memory.high", "max\n");
  host.write("/sys/fs/cgroup/a/b/memory.current", "300000000\n");
  host.write("/sys/fs/cgroup/a/b/memory.stat", "anon 100\nfile 260000000\nactive_file 150000000\ninactive_file 50000000\n"
                                               "slab_reclaimable 10000000\n");
  host.write("/sys/fs/cgroup/a/memory.max", "max\n");
  host.write("/sys/fs/cgroup/a/memory.high", "350000000\n");
  host.write("/sys/fs/cgroup/a/memory.current", "310000000\n");
  auto groups = memoryGroups(host.root());
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].limit, 400000000u);
  EXPECT_EQ(groups[0].used, 90000000u);
  EXPECT_EQ(groups[0].file, host.named("/sys/fs/cgroup/a/b/memory.max"));
  EXPECT_EQ(groups[1].limit, 350000000u);
  EXPECT_EQ(groups[1].used, 310000000u);
  EXPECT_EQ(groups[1].file, host.named("/sys/fs/cgroup/a/memory.high"));
}

TEST(MemoryGroups, Version1AndTheLimitOfAGroupThatIsNotSeen) {
  FakeHost host;
  host.write("/proc/self/cgroup", "5:memory:/docker/abc\n");
  host.write("/proc/self/mountinfo", "30 25 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
  host.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  host.write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "100000000\n");
  host.write("/sys/fs/cgroup/memory/memory.stat", "cache 5\ntotal_inactive_file 30000000\ntotal_active_file 90000000\n");
  EXPECT_TRUE(memoryGroups(host.root()).empty());
  host.write("/sys/fs/cgroup/memory/memory.stat", "hierarchical_memory_limit 500000000\ntotal_inactive_file 30000000\n");
  auto groups = memoryGroups(host.root());
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].limit, 500000000u);
  EXPECT_EQ(groups[0].used, 70000000u);
}

} // namespace
