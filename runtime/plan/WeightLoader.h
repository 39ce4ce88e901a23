//===- WeightLoader.h - a rank's part of the weights in memory -------------------------------------------------------===//
#pragma once
#include "runtime/host/HugeBuffer.h"
#include "runtime/plan/Plan.h"
#include <atomic>
#include <span>

namespace heddle {

/// Where a rank's weights lie: in weights.bin and, one after another, in its own region.
struct RankLayout {
  struct Segment {
    uint64_t from;  // in weights.bin
    uint64_t to;    // in the region, a multiple of 64
    uint64_t bytes; // > 0, whole parts
    uint64_t part;  // bytes that have one checksum (WeightSums.h)
    uint64_t sum;   // number of the first one
  };
  std::vector<int64_t> offsets;  // [weights] begin of the rank's share in the region; of an empty share any valid offset
  std::vector<Segment> segments; // what to read; fewer than weights where shares are empty or lie inside another weight's
  uint64_t bytes = 0;            // of the region
};
RankLayout rankLayout(const Manifest &manifest, int64_t rank, int64_t ranks);

struct LoadOptions {
  int threads = 0;                           // readers; 0: the usable cores, at most 4
  std::atomic<uint64_t> *progress = nullptr; // counts up while pieces come from the disk, if somebody watches
};

/// The rank's rows of every weight, read-only after loading. Move-only.
class RankWeights {
public:
  /// Reads only this rank's row groups, into anonymous memory on huge pages, and compares each with its checksum. Throws
  /// PlanError, or std::runtime_error where there is no memory.
  static RankWeights load(const Plan &plan, int64_t rank, int64_t ranks, const LoadOptions &options = {});

  std::byte *data() const { return memory_.data(); }            // aligned to 2 MiB
  uint64_t bytes() const { return memory_.size(); }             // > 0
  std::span<const int64_t> offsets() const { return offsets_; } // [weights], as Frame's weightOffsets

private:
  RankWeights() = default;
  HugeBuffer memory_;
  std::vector<int64_t> offsets_;
};

} // namespace heddle
