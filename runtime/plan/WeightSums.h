//===- WeightSums.h - one checksum for each row group of weights.bin --------------------------------------------------===//
//
// weights.sum holds them as u64, in the order of weights.bin; tied weights, which are the same bytes, count once. A rank reads
// whole row groups, so it can check just what it reads.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/plan/Plan.h"
#include <span>

namespace heddle {

inline constexpr const char *kWeightSums = "weights.sum";

/// Bytes of a weight that have one checksum: a row group; the whole of a vector.
uint64_t checkedBytes(const WeightEntry &weight);

/// For each weight of the manifest the number of its first checksum, and how many checksums there are in all.
struct SumLayout {
  std::vector<uint64_t> first;
  uint64_t count = 0;
};
SumLayout sumLayout(const Manifest &manifest);

/// The checksums of a plan. Throws PlanError.
std::vector<uint64_t> readWeightSums(const Plan &plan);

/// Compares `bytes`, whole parts of `part` bytes, with the checksums from number `sum` on; `offset` is where they lie in
/// weights.bin. Throws PlanError.
void checkWeights(const Plan &plan, std::span<const std::byte> bytes, uint64_t part, const std::vector<uint64_t> &sums,
                  uint64_t sum, uint64_t offset);

/// Reads every byte of every file of the plan and compares it with its checksum. Throws PlanError naming the file.
void verifyPlan(const Plan &plan);

} // namespace heddle
