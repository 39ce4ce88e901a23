#include "tests/unit/comm/CommunicatorChecks.h"
#include <atomic>
#include <functional>
#include <thread>

using namespace heddle;
using namespace heddle::test;

namespace {

void onRanks(int64_t ranks, const std::function<void(Communicator &)> &body) {
  auto group = makeThreadCommunicators(ranks);
  std::vector<std::jthread> threads;
  for (auto &rank : group)
    threads.emplace_back([&body, rank = std::move(rank)] { body(*rank); });
}

TEST(Communicator, SelfIsAGroupOfOne) {
  auto self = makeSelfCommunicator();
  EXPECT_EQ(self->rank(), 0);
  EXPECT_EQ(self->size(), 1);
  EXPECT_EQ(self->ranksOnHost(), 1);
  checkGathers(*self, 5);
  checkBroadcasts(*self);
  checkStrings(*self);
}

class ThreadRanks : public testing::TestWithParam<int64_t> {};

TEST_P(ThreadRanks, GatherRaggedColumns) {
  onRanks(GetParam(), [](Communicator &group) { checkGathers(group, 50); });
}
TEST_P(ThreadRanks, BroadcastAnySize) { onRanks(GetParam(), checkBroadcasts); }
TEST_P(ThreadRanks, GatherStrings) { onRanks(GetParam(), checkStrings); }
TEST_P(ThreadRanks, Steps) {
  onRanks(GetParam(), [](Communicator &group) { checkSteps(group, 50); });
}
INSTANTIATE_TEST_SUITE_P(Ranks, ThreadRanks, testing::Values(1, 2, 3, 5, 9));

TEST(ThreadCommunicator, PeersOfALeaverThrow) {
  std::atomic<int> thrown = 0;
  onRanks(3, [&](Communicator &group) {
    checkStrings(group); // all are there
    if (group.rank() == 1)
      return;
    try {
      std::vector<std::byte> message(1);
      if (group.rank() == 0) {
        gatherStrings(group, "waits in a gather");
      } else {
        gatherStrings(group, "waits in a gather too");
      }
    } catch (const CommError &error) {
      EXPECT_STREQ(error.what(), ("rank 1 left the group while rank " + std::to_string(group.rank()) + " waited for it").c_str());
      ++thrown;
    }
  });
  EXPECT_EQ(thrown, 2);
}

TEST(ThreadCommunicator, ASleeperLearnsThatRankZeroLeft) {
  std::atomic<int> thrown = 0;
  onRanks(2, [&](Communicator &group) {
    if (group.rank() == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20)); // rank 1 sleeps in broadcast by then
      return;
    }
    std::vector<std::byte> message;
    try {
      group.broadcast(message);
    } catch (const CommError &) {
      ++thrown;
    }
  });
  EXPECT_EQ(thrown, 1);
}

} // namespace
