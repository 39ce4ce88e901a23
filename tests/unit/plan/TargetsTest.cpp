#include "runtime/plan/Targets.h"
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <set>
#include <sstream>

using namespace heddle;

namespace {

TEST(Targets, ThisHostRunsTheOldest) {
  std::vector<std::string> targets = hostTargets();
  ASSERT_FALSE(targets.empty()) << "the tests are built for x86-64-v3";
  EXPECT_EQ(targets.back(), "x86-64-v3");
}

/// The kernel's list of this CPU's features says the same as CPUID does.
TEST(Targets, VnniIsFoundWhereTheKernelSeesIt) {
  std::set<std::string> flags;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("flags")) {
      std::istringstream words(line);
      flags = {std::istream_iterator<std::string>(words), {}};
      break;
    }
  if (flags.empty())
    GTEST_SKIP() << "/proc/cpuinfo lists no flags";
  auto runs = [](const char *target) { return missingForTarget(target).empty(); };
  EXPECT_TRUE(!flags.contains("avx_vnni") || runs("x86-64-v3+vnni")); // a kernel may be too old to list it
  EXPECT_EQ(runs("x86-64-v4"), flags.contains("avx512vl"));
  EXPECT_EQ(runs("x86-64-v4+vnni"), flags.contains("avx512vl") && flags.contains("avx512_vnni"));
}

TEST(Targets, MessagesNameThemAll) { EXPECT_EQ(targetChoices(), "x86-64-v4+vnni, x86-64-v4, x86-64-v3+vnni or x86-64-v3"); }

} // namespace
