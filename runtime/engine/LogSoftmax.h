//===- LogSoftmax.h - log-probabilities of a row of logits -----------------------------------------------------------===//
//
// docs/arithmetic.md, "Sampling": chunks of 1,024 ids, each with its maximum and its sum by 16 lanes, merged in increasing order.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <vector>

namespace heddle {

/// The fixed tree that folds 16 partial sums: lanes +8, +4, +2, +1 (docs/arithmetic.md, Adding up lanes).
template <class Float> Float foldLanes(Float (&lane)[16]) {
  for (int half = 8; half > 0; half /= 2)
    for (int j = 0; j < half; ++j)
      lane[j] += lane[j + half];
  return lane[0];
}

inline constexpr int64_t kVocabularyChunk = 1024;

/// Maxima of a row, by chunk. Plain values. A logit of −∞ says "never this token" and is as good as any other, but not for all.
struct RowScan {
  std::vector<float> chunkMax;
  float max;
  int64_t argmax;   // the lowest id with it
  int64_t bad = -1; // the lowest id whose logit is NaN or +∞, or 0 when all are −∞; then the rest means nothing
};
void scanRow(const float *x, int64_t count, RowScan &scan);

/// logprob(x) = (x − max) − logSum, both operations in f32; logSum is the f64 logarithm of the f32 sum, rounded once.
struct LogNormalizer {
  float max, logSum;
  float logprob(float x) const { return (x - max) - logSum; }
};
LogNormalizer logNormalizer(const float *x, int64_t count, const RowScan &scan);

/// Ids of the `k` greatest logits, greatest first, ties to the lower id; all of them when there are fewer. Does not sort the
/// rest.
void bestOf(const float *x, int64_t count, const RowScan &scan, int64_t k, std::vector<int32_t> &best);

} // namespace heddle
