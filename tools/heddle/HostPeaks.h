//===- HostPeaks.h - what this host's memory and multipliers can give ---------------------------------------------------===//
#pragma once
#include "runtime/host/HugeBuffer.h"
#include <cstdint>

namespace heddle::tool {

/// Measured, not looked up: in the same run as what is held against them. All threads together.
struct HostPeaks {
  double readBandwidth;     // bytes a second from memory
  double integerOperations; // int8 multiplications and additions a second, in the best instructions that the host has
  double floatOperations;   // f32 multiplications and additions a second, by FMA
};

/// Takes about half a second and 512 MiB, or a quarter of what is available. Medians of several rounds.
HostPeaks measureHostPeaks(int64_t threads);

/// The first of them alone, again and again. Holds as much memory.
class ReadBandwidth {
public:
  explicit ReadBandwidth(int64_t threads);
  /// Bytes a second of one round, about 20 ms.
  double once();

private:
  std::byte *mine(int64_t thread) { return buffer_.data() + static_cast<size_t>(thread) * share_; }
  HugeBuffer buffer_;
  int64_t threads_;
  size_t share_; // of a thread
};

} // namespace heddle::tool
