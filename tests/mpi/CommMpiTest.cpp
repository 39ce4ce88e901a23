// The communicator over MPI: what threads must do (CommunicatorChecks.h), on processes; over real and pretended hosts.
#include "tests/mpi/MpiMain.h"
#include "tests/unit/comm/CommunicatorChecks.h"
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <thread>

using namespace heddle;
using namespace heddle::test;

namespace {

double processCpuMs() { return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

TEST(MpiCommunicator, KnowsItsPlace) {
  Communicator &group = mpiGroup();
  const char *size = std::getenv("OMPI_COMM_WORLD_SIZE");
  ASSERT_NE(size, nullptr) << "run this test by mpirun";
  EXPECT_EQ(group.size(), std::atoll(size));
  int64_t onHost = group.size();
  if (int hosts = pretendedHosts()) {
    onHost = 0;
    for (int64_t r = 0; r < group.size(); ++r)
      onHost += r % hosts == group.rank() % hosts;
  }
  EXPECT_EQ(group.ranksOnHost(), onHost);
}
TEST(MpiCommunicator, GathersRaggedColumns) { checkGathers(mpiGroup(), 60); }
TEST(MpiCommunicator, BroadcastsAnySize) { checkBroadcasts(mpiGroup()); }
TEST(MpiCommunicator, GathersStrings) { checkStrings(mpiGroup()); }
TEST(MpiCommunicator, DoesSteps) { checkSteps(mpiGroup(), 100); }

TEST(MpiCommunicator, IdleReceiversUseNoCpu) {
  Communicator &group = mpiGroup();
  std::vector<std::byte> message;
  group.broadcast(message); // together from here on
  double before = processCpuMs();
  if (group.rank() == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  group.broadcast(message);
  if (group.rank() != 0)
    EXPECT_LT(processCpuMs() - before, 50) << "milliseconds of CPU in 500 of waiting";
}

/// Not a check of speed (machines differ), but printed: microseconds of a decode-sized gather.
TEST(MpiCommunicator, ReportsGatherTime) {
  Communicator &group = mpiGroup();
  for (int64_t rowBytes : {720, 6144}) {
    std::vector<std::byte> data(rowBytes);
    std::vector<int64_t> begin(group.size()), end(group.size());
    for (int64_t r = 0; r < group.size(); ++r)
      begin[r] = rowBytes * r / group.size(), end[r] = rowBytes * (r + 1) / group.size();
    constexpr int kCalls = 2000;
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i)
      group.allGather(data.data(), 1, rowBytes, begin, end);
    double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / kCalls;
    if (group.rank() == 0)
      std::printf("  gather of %d bytes over %d ranks: %.1f us\n", static_cast<int>(rowBytes), static_cast<int>(group.size()),
                  us);
    EXPECT_GT(us, 0);
  }
}

} // namespace
