//===- WeightSums.cpp - one checksum for each row group of weights.bin ------------------------------------------------===//
#include "runtime/plan/WeightSums.h"
#include "runtime/plan/Checksum.h"
#include "runtime/plan/Files.h"
#include "runtime/plan/WeightLoader.h"
#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <numeric>

namespace heddle {

uint64_t checkedBytes(const WeightEntry &w) {
  return w.packed ? static_cast<uint64_t>(traits(w.format).groupBytes(w.columns)) : w.bytes;
}

SumLayout sumLayout(const Manifest &manifest) {
  const auto &weights = manifest.weights;
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return std::pair(weights[i].offset, i); });
  SumLayout layout;
  layout.first.resize(weights.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const WeightEntry &w = weights[order[i]];
    if (i > 0 && weights[order[i - 1]].offset == w.offset) { // tied: equal or disjoint, says the manifest's check
      layout.first[order[i]] = layout.first[order[i - 1]];
      continue;
    }
    layout.first[order[i]] = layout.count;
    layout.count += w.bytes / checkedBytes(w);
  }
  return layout;
}

std::vector<uint64_t> readWeightSums(const Plan &plan) {
  const std::string text = plan.read(kWeightSums);
  const uint64_t count = sumLayout(plan.manifest()).count; // any number, in a hostile manifest
  if (text.size() % sizeof(uint64_t) || text.size() / sizeof(uint64_t) != count)
    throw PlanError(plan.file(kWeightSums).string() + ": has " + std::to_string(text.size() / sizeof(uint64_t)) +
                    " checksums for " + std::to_string(count) + " row groups: compile the model again");
  std::vector<uint64_t> sums(count);
  std::memcpy(sums.data(), text.data(), text.size());
  return sums;
}

void checkWeights(const Plan &plan, std::span<const std::byte> bytes, uint64_t part, const std::vector<uint64_t> &sums,
                  uint64_t sum, uint64_t offset) {
  for (uint64_t at = 0; at < bytes.size(); at += part, ++sum)
    if (checksum(bytes.subspan(at, part)) != sums[sum])
      throw PlanError(plan.file("weights.bin").string() + ": is damaged between bytes " + std::to_string(offset + at) + " and " +
                      std::to_string(offset + at + part) + ": compile the model again");
}

void verifyPlan(const Plan &plan) {
  for (const PlanFile &file : plan.manifest().files)
    plan.read(file.name);
  const std::vector<uint64_t> sums = readWeightSums(plan);
  files::File weights(plan.file("weights.bin"), O_RDONLY | O_NONBLOCK, "open");
  std::vector<std::byte> buffer; // not all at once: a plan may be larger than this machine's memory
  for (const RankLayout::Segment &s : rankLayout(plan.manifest(), 0, 1).segments) // one rank reads all
    for (uint64_t at = 0, step = std::max<uint64_t>(1, (4 << 20) / s.part) * s.part; at < s.bytes; at += step) {
      buffer.resize(std::min(step, s.bytes - at));
      weights.readAt(s.from + at, buffer);
      checkWeights(plan, buffer, s.part, sums, s.sum + at / s.part, s.from + at);
    }
}

} // namespace heddle
