//===- LogSoftmax.cpp - log-probabilities of a row of logits ---------------------------------------------------------===//
#include "runtime/engine/LogSoftmax.h"
#include "runtime/math/Functions.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace heddle {
namespace {

constexpr int64_t kLanes = 16;
constexpr float kLowest = -std::numeric_limits<float>::infinity(), kHighest = std::numeric_limits<float>::max();

/// Maximum of x[0, count); `good` becomes false when one is NaN or +∞. The lanes are independent, so that this compiles to vector
/// instructions.
float chunkMaximum(const float *x, int64_t count, bool &good) {
  float lane[kLanes];
  uint32_t bad[kLanes] = {};
  std::fill_n(lane, kLanes, kLowest);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) {
      bad[j] |= !(x[i + j] <= kHighest);
      lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    }
  for (int64_t j = 0; i < count; ++i, ++j) {
    bad[j] |= !(x[i] <= kHighest);
    lane[j] = std::max(lane[j], x[i]);
  }
  for (int64_t j = 0; j < kLanes; ++j)
    good &= !bad[j];
  return *std::max_element(lane, lane + kLanes);
}

/// Σ exp(x − max) by lanes (docs/arithmetic.md, "Adding up lanes").
float chunkSum(const float *x, int64_t count, float max) {
  float lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j)
      lane[j] = lane[j] + math::exp(x[i + j] - max);
  for (int64_t j = 0; i < count; ++i, ++j)
    lane[j] = lane[j] + math::exp(x[i] - max);
  return foldLanes(lane);
}

} // namespace

void scanRow(const float *x, int64_t count, RowScan &scan) {
  scan.chunkMax.clear();
  scan.bad = -1;
  bool good = true;
  int64_t bestChunk = 0;
  for (int64_t begin = 0; begin < count; begin += kVocabularyChunk) {
    float m = chunkMaximum(x + begin, std::min(kVocabularyChunk, count - begin), good);
    if (scan.chunkMax.empty() || m > scan.max)
      scan.max = m, bestChunk = begin;
    scan.chunkMax.push_back(m);
  }
  if (!good)
    scan.bad = std::find_if(x, x + count, [](float v) { return !(v <= kHighest); }) - x;
  else if (scan.max == kLowest)
    scan.bad = 0;
  if (scan.bad >= 0)
    return;
  scan.argmax = std::find(x + bestChunk, x + count, scan.max) - x;
}

LogNormalizer logNormalizer(const float *x, int64_t count, const RowScan &scan) {
  float max = kLowest, sum = 0;
  for (int64_t c = 0; c < static_cast<int64_t>(scan.chunkMax.size()); ++c) {
    int64_t begin = c * kVocabularyChunk;
    if (scan.chunkMax[c] == kLowest)
      continue; // −∞ − −∞ would be no number; all of the chunk counts for nothing
    float m = scan.chunkMax[c], s = chunkSum(x + begin, std::min(kVocabularyChunk, count - begin), m);
    if (max == kLowest) {
      max = m, sum = s;
      continue;
    }
    float merged = std::max(max, m);
    sum = std::fma(sum, math::exp(max - merged), s * math::exp(m - merged));
    max = merged;
  }
  return {max, static_cast<float>(math::log(static_cast<double>(sum)))};
}

void bestOf(const float *x, int64_t count, const RowScan &scan, int64_t k, std::vector<int32_t> &best) {
  auto better = [x](int32_t a, int32_t b) { return x[a] > x[b] || (x[a] == x[b] && a < b); };
  k = std::min(k, count);
  best.clear();
  for (int64_t begin = 0; begin < count && k > 0; begin += kVocabularyChunk) {
    bool full = static_cast<int64_t>(best.size()) == k;
    if (full && scan.chunkMax[begin / kVocabularyChunk] <= x[best.front()])
      continue; // later ids lose ties
    for (int64_t i = begin; i < std::min(begin + kVocabularyChunk, count); ++i) {
      if (static_cast<int64_t>(best.size()) < k) {
        best.push_back(static_cast<int32_t>(i));
        std::push_heap(best.begin(), best.end(), better); // the worst stands in front
      } else if (x[i] > x[best.front()]) {
        std::pop_heap(best.begin(), best.end(), better);
        best.back() = static_cast<int32_t>(i);
        std::push_heap(best.begin(), best.end(), better);
      }
    }
  }
  std::sort_heap(best.begin(), best.end(), better);
}

} // namespace heddle
