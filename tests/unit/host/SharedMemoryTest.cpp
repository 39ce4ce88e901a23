#include "runtime/host/SharedMemory.h"
#include "tests/unit/host/FakeHost.h"
#include <gtest/gtest.h>

using namespace heddle;
using namespace heddle::test;

namespace {

TEST(SharedMemory, AFolderWithRoomIsFine) {
  FakeHost host;
  EXPECT_EQ(sharedMemoryShortage("2 ranks share", 1, host.root()), "");
}

TEST(SharedMemory, AShortageNamesBothSizesAndTheRemedy) {
  FakeHost host;
  std::string line = sharedMemoryShortage("2 ranks share", uint64_t{1} << 62, host.root());
  EXPECT_TRUE(line.starts_with("2 ranks share 4611686018.43 GB in " + host.root().string() + ", where ")) << line;
  EXPECT_NE(line.find(" are free; make it larger (docker run --shm-size 1g;"), std::string::npos) << line;
}

TEST(SharedMemory, AFolderThatIsNotThereIsNotUsed) {
  EXPECT_EQ(sharedMemoryShortage("2 ranks share", uint64_t{1} << 62, "/nonexistent/shm"), "");
}

} // namespace
