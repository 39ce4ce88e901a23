//===- HostPeaks.h - what this host's memory and multipliers can give ---------------------------------------------------===//
#pragma once
#include <cstdint>

namespace heddle::tool {

/// Measured, not looked up: in the same run as what is held against them. All threads together.
struct HostPeaks {
  double readBandwidth;     // bytes a second from memory
  double integerOperations; // int8 multiplications and additions a second, in the best instructions that the host has
  double floatOperations;   // f32 multiplications and additions a second, by FMA
};

/// Takes about half a second and 512 MiB. Medians of several rounds.
HostPeaks measureHostPeaks(int64_t threads);

} // namespace heddle::tool
