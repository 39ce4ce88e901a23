//===- MpiMain.cpp - GoogleTest under mpirun -------------------------------------------------------------------------===//
#include "tests/mpi/MpiMain.h"
#include "runtime/comm/Host.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>

namespace heddle::test {
namespace {

std::unique_ptr<Communicator> group;
int hosts = 0;

/// What a rank other than 0 prints: failures only.
class FailuresOnly : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult &result) override {
    if (result.failed())
      std::fprintf(stderr, "rank %d: %s:%d: %s\n", static_cast<int>(group->rank()), result.file_name(), result.line_number(),
                   result.summary());
  }
};

/// The worst status of all ranks, on all ranks.
int worst(int status) {
  int result = 0;
  for (const std::string &s : gatherStrings(*group, std::to_string(status)))
    result = std::max(result, std::atoi(s.c_str()));
  return result;
}

} // namespace

Communicator &mpiGroup() { return *group; }
int pretendedHosts() { return hosts; }

} // namespace heddle::test

int main(int argc, char **argv) {
  using namespace heddle::test;
  heddle::dieWithParent();
  testing::InitGoogleTest(&argc, argv);
  heddle::MpiTuning tuning;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--slot-bytes"))
      tuning.slotBytes = std::atoll(argv[i + 1]);
    if (!std::strcmp(argv[i], "--message-bytes"))
      tuning.messageBytes = std::atoll(argv[i + 1]);
    if (!std::strcmp(argv[i], "--hosts"))
      hosts = std::atoi(argv[i + 1]);
  }
  if (hosts > 0)
    tuning.host = std::atoi(std::getenv("OMPI_COMM_WORLD_RANK") ? std::getenv("OMPI_COMM_WORLD_RANK") : "0") % hosts;
  group = heddle::makeMpiCommunicator(&argc, &argv, tuning);
  if (group->rank() != 0) {
    auto &listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailuresOnly);
  }
  int status = worst(RUN_ALL_TESTS());
  group.reset();
  return status;
}
