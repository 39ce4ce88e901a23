//===- Sampler.h - from a row of logits to a token -------------------------------------------------------------------===//
//
// The order of operations, for logits x[0, vocabulary), the known tokens of the sequence and the position that is sampled:
//
//  1. Log-probabilities, where asked for, are those of the raw x (LogSoftmax.h). A NaN or +∞ fails the request. −∞ says
//     "never this token": it stays −∞ below and is never drawn or listed. A row that is −∞ throughout fails the request.
//  2. Repetition penalty r != 1, f32, once for each distinct id of prompt and output: x > 0 ? x / r : x · r.
//  3. Temperature 0: the token is the greatest x, ties to the lower id; nothing below matters.
//  4. Temperature T > 0: z = (x − max x) / T in f64; p = exp(z) as an f32 function of z rounded to f32.
//  5. top-k: the k greatest x stay, ties to the lower id.
//  6. top-p < 1: of what stays, ordered by decreasing x (ties by increasing id), the shortest beginning whose Σp reaches
//     top_p · Σp of all that stayed; sums in f64, the second one by 16 lanes of ids without top-k, else in this order.
//  7. min-p: of what stays, those with p >= min_p (the greatest has p = 1, so it always stays).
//  8. The token is the greatest z + noise of what stays, ties to the lower id. The noise is Gumbel's, so tokens come with the
//     probabilities softmax(z) over what stays: noise = −log(−log u), u = (n + ½) / 2^52 with the top 52 bits n of a hash of
//     (seed, sequence index, absolute position, token id). It depends on nothing else: not on the batch, nor on what other
//     tokens' odds are.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "runtime/engine/LogSoftmax.h"
#include <bit>
#include <cstdint>
#include <span>

namespace heddle {

/// Noise of one position: a counter-based hash (SplitMix64, started at a hash of seed, sequence and position).
class TokenNoise {
public:
  TokenNoise(uint64_t seed, uint64_t sequence, uint64_t position)
      : key_(mix(mix(mix(seed + kGolden) + kGolden * (sequence + 1)) + kGolden * (position + 1))) {}
  uint64_t bits(int32_t token) const { return mix(key_ + kGolden * (static_cast<uint64_t>(token) + 1)) >> 12; }
  static double gumbel(uint64_t bits);
  /// At least gumbel(bits), without a logarithm: u = 1 − w, and −log(−log(1 − w)) <= −log w.
  static double bound(uint64_t bits) {
    uint64_t fromTop = (uint64_t{1} << 52) - 1 - bits;
    return 0.6931471806 * (53 - std::bit_width(fromTop)) + 1e-9;
  }
  static constexpr double kMost = 37; // bound(2^52 − 1), rounded up

private:
  static constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
  static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }
  uint64_t key_;
};

/// Samples for any number of requests, one row at a time; holds nothing but scratch memory. One thread uses it.
class Sampler {
public:
  struct Result {
    TokenResult token;
    std::string error; // why there is no token, as "token id 7 has a logit of NaN"; empty when there is one
  };
  /// `known` are prompt and output so far; the new token's position is their number.
  Result sample(const float *logits, int64_t vocabulary, std::span<const int32_t> known, const SamplingParams &params,
                uint64_t seed);

private:
  const float *penalize(const float *x, int64_t count, std::span<const int32_t> known, float penalty);
  int32_t draw(const float *x, int64_t count, const SamplingParams &params, const TokenNoise &noise);
  void cutByMass(const float *x, int64_t count, const SamplingParams &params);

  RowScan scan_, penalizedScan_;
  const RowScan *current_ = nullptr; // of the row that is drawn from
  std::vector<float> penalized_;
  std::vector<bool> seen_;
  std::vector<int32_t> candidates_;
};

} // namespace heddle
