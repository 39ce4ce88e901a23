//===- LogSoftmax.cpp - log-probabilities of a row of logits ---------------------------------------------------------===//
#include "runtime/engine/LogSoftmax.h"
#include "runtime/math/Functions.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace heddle {
namespace {

constexpr int64_t kLanes = 16;
constexpr float kLowest = -std::numeric_limits<float>::infinity();

/// Maximum of x[0, count) and whether all is finite. The lanes are independent, so that this compiles to vector instructions.
float chunkMaximum(const float *x, int64_t count, bool &finite) {
  float lane[kLanes];
  uint32_t bad[kLanes] = {};
  std::fill_n(lane, kLanes, kLowest);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) {
      uint32_t bits;
      std::memcpy(&bits, &x[i + j], 4);
      bad[j] |= (bits & 0x7f800000u) == 0x7f800000u;
      lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    }
  for (int64_t j = 0; i < count; ++i, ++j) {
    bad[j] |= !std::isfinite(x[i]);
    lane[j] = std::max(lane[j], x[i]);
  }
  for (int64_t j = 0; j < kLanes; ++j)
    finite &= !bad[j];
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
  scan.nonFinite = -1;
  bool finite = true;
  int64_t bestChunk = 0;
  for (int64_t begin = 0; begin < count; begin += kVocabularyChunk) {
    float m = chunkMaximum(x + begin, std::min(kVocabularyChunk, count - begin), finite);
    if (scan.chunkMax.empty() || m > scan.max)
      scan.max = m, bestChunk = begin;
    scan.chunkMax.push_back(m);
  }
  if (!finite) {
    scan.nonFinite = std::find_if(x, x + count, [](float v) { return !std::isfinite(v); }) - x;
    return;
  }
  scan.argmax = std::find(x + bestChunk, x + count, scan.max) - x;
}

LogNormalizer logNormalizer(const float *x, int64_t count, const RowScan &scan) {
  float max = 0, sum = 0;
  for (int64_t c = 0; c < static_cast<int64_t>(scan.chunkMax.size()); ++c) {
    int64_t begin = c * kVocabularyChunk;
    float m = scan.chunkMax[c], s = chunkSum(x + begin, std::min(kVocabularyChunk, count - begin), m);
    if (c == 0) {
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
