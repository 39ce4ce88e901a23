// The communicator over MPI: what threads must do (CommunicatorChecks.h), on processes; over real and pretended hosts.
#include "tests/mpi/MpiMain.h"
#include "tests/unit/comm/CommunicatorChecks.h"
#include <algorithm>
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

TEST(MpiCommunicator, MeetsAsleep) {
  Communicator &group = mpiGroup();
  group.meet(); // together from here on
  double before = processCpuMs();
  auto start = std::chrono::steady_clock::now();
  if (group.rank() == group.size() - 1)
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  group.meet();
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(400)) << "nobody goes before the last has come";
  EXPECT_LT(processCpuMs() - before, 100) << "milliseconds of CPU in 500 of waiting";
}

TEST(MpiCommunicator, SeesItsHostGetOn) {
  Communicator &group = mpiGroup();
  group.meet();
  uint64_t before = group.hostProgress();
  group.meet();
  group.progress() += 3;
  group.meet();
  EXPECT_EQ(group.hostProgress() - before, 3 * static_cast<uint64_t>(group.ranksOnHost()));
  group.meet();
}

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

/// Every one of many gathers in a row brings what was written for it. Their time is printed; machines differ too much to check
/// it.
TEST(MpiCommunicator, GathersOfADecodeStepInARow) {
  Communicator &group = mpiGroup();
  for (int64_t rowBytes : {720, 6144}) {
    std::vector<std::byte> data(rowBytes);
    std::vector<int64_t> begin(group.size()), end(group.size());
    for (int64_t r = 0; r < group.size(); ++r)
      begin[r] = rowBytes * r / group.size(), end[r] = rowBytes * (r + 1) / group.size();
    constexpr int kCalls = 2000;
    auto start = std::chrono::steady_clock::now();
    int64_t wrong = 0;
    for (int i = 0; i < kCalls; ++i) {
      auto written = [&](int64_t rank) { return static_cast<std::byte>(i * 7 + rank); };
      std::fill(data.begin() + begin[group.rank()], data.begin() + end[group.rank()], written(group.rank()));
      group.allGather(data.data(), 1, rowBytes, begin, end);
      for (int64_t r = 0; r < group.size(); ++r) // the ends of each rank's part: the whole of it is CommunicatorChecks' matter
        wrong += data[begin[r]] != written(r) || data[end[r] - 1] != written(r);
    }
    double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / kCalls;
    if (group.rank() == 0)
      std::printf("  gather of %d bytes over %d ranks: %.1f us\n", static_cast<int>(rowBytes), static_cast<int>(group.size()),
                  us);
    EXPECT_EQ(wrong, 0);
  }
}

} // namespace
