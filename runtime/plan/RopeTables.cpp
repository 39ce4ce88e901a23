//===- RopeTables.cpp - cos and sin of every position -------------------------------------------------------------------===//
#include "runtime/plan/RopeTables.h"
#include "runtime/math/Functions.h"
#include <algorithm>
#include <new>

namespace heddle {

void fillRopeTable(const RopeTable &rope, int64_t positions, float *out) {
  const int64_t pairs = rope.dims / 2;
  std::vector<double> frequency(pairs);
  const std::vector<double> &factors = !rope.longFactors.empty() && positions > rope.original ? rope.longFactors : rope.factors;
  const double logBase = math::log(rope.base);
  for (int64_t i = 0; i < pairs; ++i) {
    double factor = factors.empty() ? 1.0 : factors[i];
    frequency[i] =
        math::exp(-(static_cast<double>(2 * i) / static_cast<double>(rope.dims)) * logBase) / (rope.linearScale * factor);
    if (!(static_cast<double>(positions) * frequency[i] < 1073741824.0))
      throw PlanError("RoPE table: pair " + std::to_string(i) + " turns by more than 2^30 within " + std::to_string(positions) +
                      " positions: use a smaller --context");
  }
  for (int64_t position = 0; position < positions; ++position)
    for (int64_t i = 0; i < pairs; ++i, out += 2) {
      double sine, cosine;
      math::sincos(static_cast<double>(position) * frequency[i], sine, cosine);
      out[0] = static_cast<float>(cosine * rope.magnitude);
      out[1] = static_cast<float>(sine * rope.magnitude);
    }
}

RopeTables::RopeTables(std::span<const RopeTable> ropes, int64_t positions) {
  for (const RopeTable &rope : ropes) {
    offsets_.push_back(size_);
    size_ += (positions * rope.dims + 15) / 16 * 16;
  }
  size_ = std::max<int64_t>(size_, 16);
  data_.reset(static_cast<float *>(std::aligned_alloc(64, static_cast<size_t>(size_) * sizeof(float))));
  if (!data_)
    throw std::bad_alloc();
  std::fill_n(data_.get(), size_, 0.0f);
  for (size_t i = 0; i < ropes.size(); ++i)
    fillRopeTable(ropes[i], positions, data_.get() + offsets_[i]);
}

} // namespace heddle
