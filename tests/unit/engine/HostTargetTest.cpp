#include "runtime/engine/HostTarget.h"
#include <gtest/gtest.h>
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

} // namespace
