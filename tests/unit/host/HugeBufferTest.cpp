#include "runtime/host/HugeBuffer.h"
#include <algorithm>
#include <cstdint>
#include <gtest/gtest.h>
#include <stdexcept>

using namespace heddle;

namespace {

TEST(HugeBuffer, IsAlignedZeroAndMovable) {
  HugeBuffer buffer(3 << 20, "a test");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % (2 << 20), 0u);
  EXPECT_EQ(std::count(buffer.data(), buffer.data() + buffer.size(), std::byte{0}), 3 << 20);
  buffer.data()[5] = std::byte{1};
  HugeBuffer other = std::move(buffer);
  EXPECT_EQ(other.data()[5], std::byte{1});
  other = HugeBuffer();
  EXPECT_EQ(other.size(), 0u);
  EXPECT_THROW(HugeBuffer(size_t{1} << 60, "a test"), std::runtime_error);
}

} // namespace
