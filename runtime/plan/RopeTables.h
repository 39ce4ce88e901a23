//===- RopeTables.h - cos and sin of every position ---------------------------------------------------------------------===//
#pragma once
#include "runtime/plan/Plan.h"
#include <cstdlib>
#include <memory>
#include <span>

namespace heddle {

/// Writes the table [positions][dims/2][cos, sin] of positions 0, 1, … into out [positions · dims] (docs/arithmetic.md, RoPE).
/// Throws PlanError where a position turns by 2^30 or more.
void fillRopeTable(const RopeTable &rope, int64_t positions, float *out);

/// Every table of a plan, one after another in one 64-byte aligned buffer, as Frame's ropes and ropeOffsets.
class RopeTables {
public:
  RopeTables(std::span<const RopeTable> ropes, int64_t positions);
  float *data() const { return data_.get(); }
  int64_t size() const { return size_; }                        // floats, at least 16
  std::span<const int64_t> offsets() const { return offsets_; } // [ropes], first float of each, a multiple of 16

private:
  struct Free {
    void operator()(float *p) const { std::free(p); }
  };
  std::unique_ptr<float[], Free> data_;
  int64_t size_ = 0;
  std::vector<int64_t> offsets_;
};

} // namespace heddle
