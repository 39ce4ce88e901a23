//===- Sampler.cpp - from a row of logits to a token -----------------------------------------------------------------===//
#include "runtime/engine/Sampler.h"
#include "runtime/math/Functions.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace heddle {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity(); // the logit of a token that must not come

double scaled(float x, float max, double temperature) {
  return (static_cast<double>(x) - static_cast<double>(max)) / temperature;
}
float weight(double z) { return math::exp(static_cast<float>(z)); }

/// Σ weight of all logits, by 16 lanes that fold as docs/arithmetic.md says, in f64. Independent lanes become vector
/// instructions.
double totalWeight(const float *x, int64_t count, float max, double temperature) {
  constexpr int64_t kLanes = 16;
  double lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    float w[kLanes];
    for (int64_t j = 0; j < kLanes; ++j)
      w[j] = static_cast<float>(scaled(x[i + j], max, temperature));
    for (int64_t j = 0; j < kLanes; ++j)
      w[j] = math::exp(w[j]);
    for (int64_t j = 0; j < kLanes; ++j)
      lane[j] += static_cast<double>(w[j]);
  }
  for (int64_t j = 0; i < count; ++i, ++j)
    lane[j] += static_cast<double>(weight(scaled(x[i], max, temperature)));
  return foldLanes(lane);
}

} // namespace

double TokenNoise::gumbel(uint64_t bits) {
  double u = (static_cast<double>(bits) + 0.5) * 0x1p-52; // exact, in (0, 1)
  return -math::log(-math::log(u));
}

Sampler::Result Sampler::sample(const float *logits, int64_t vocabulary, std::span<const int32_t> known,
                                const SamplingParams &params, uint64_t seed) {
  Result result;
  scanRow(logits, vocabulary, scan_);
  if (scan_.bad >= 0) {
    float bad = logits[scan_.bad];
    result.error = bad < 0
                       ? "every token has a logit of -infinity"
                       : "token id " + std::to_string(scan_.bad) + " has a logit of " + (std::isnan(bad) ? "NaN" : "+infinity");
    return result;
  }

  const float *x = logits;
  current_ = &scan_;
  if (params.repeatPenalty != 1) {
    x = penalize(logits, vocabulary, known, static_cast<float>(params.repeatPenalty));
    scanRow(x, vocabulary, penalizedScan_);
    current_ = &penalizedScan_;
  }
  TokenResult &token = result.token;
  token.token = params.temperature == 0 ? static_cast<int32_t>(current_->argmax)
                                        : draw(x, vocabulary, params, TokenNoise(seed, 0, known.size()));
  token.logprob = 0;
  if (params.logprobs > 0) {
    LogNormalizer normalizer = logNormalizer(logits, vocabulary, scan_);
    token.logprob = normalizer.logprob(logits[token.token]);
    bestOf(logits, vocabulary, scan_, params.logprobs, candidates_);
    for (int32_t id : candidates_)
      if (logits[id] > kNever)
        token.best.push_back({id, normalizer.logprob(logits[id])});
  }
  return result;
}

const float *Sampler::penalize(const float *x, int64_t count, std::span<const int32_t> known, float penalty) {
  constexpr float kMost = std::numeric_limits<float>::max();
  penalized_.assign(x, x + count);
  seen_.assign(count, false);
  for (int32_t id : known) {
    if (seen_[id])
      continue;
    seen_[id] = true;
    float &v = penalized_[id];
    if (v == kNever)
      continue;
    v = std::clamp(v > 0 ? v / penalty : v * penalty, -kMost, kMost);
  }
  return penalized_.data();
}

int32_t Sampler::draw(const float *x, int64_t count, const SamplingParams &params, const TokenNoise &noise) {
  float max = current_->max;
  int32_t winner = static_cast<int32_t>(current_->argmax); // stays in whatever is cut; a good first bound
  double best = TokenNoise::gumbel(noise.bits(winner));    // its z is 0
  auto consider = [&](int32_t id) {
    double z = scaled(x[id], max, params.temperature);
    if (z + TokenNoise::kMost < best || id == winner)
      return; // nearly all of a vocabulary ends here
    if (params.minP > 0 && weight(z) < params.minP)
      return;
    uint64_t bits = noise.bits(id);
    if (z + TokenNoise::bound(bits) < best)
      return;
    double score = z + TokenNoise::gumbel(bits);
    if (score > best || (score == best && id < winner))
      best = score, winner = id;
  };
  bool topK = params.topK > 0 && params.topK < count;
  if (topK)
    bestOf(x, count, *current_, params.topK, candidates_);
  if (params.topP < 1)
    cutByMass(x, count, params);
  if (topK || params.topP < 1)
    for (int32_t id : candidates_)
      consider(id);
  else
    for (int64_t id = 0; id < count; ++id)
      consider(static_cast<int32_t>(id));
  return winner;
}

/// top-p. Without top-k the candidates are all ids: ever more of the best are taken until they have the mass, which is soon.
void Sampler::cutByMass(const float *x, int64_t count, const SamplingParams &params) {
  auto mass = [&](int64_t id) { return static_cast<double>(weight(scaled(x[id], current_->max, params.temperature))); };
  bool topK = params.topK > 0 && params.topK < count;
  double total = 0;
  if (topK)
    for (int32_t id : candidates_)
      total += mass(id);
  else
    total = totalWeight(x, count, current_->max, params.temperature);
  for (int64_t take = 64;; take *= 16) {
    if (!topK)
      bestOf(x, count, *current_, take, candidates_);
    double sum = 0;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      sum += mass(candidates_[i]);
      if (sum < params.topP * total)
        continue;
      candidates_.resize(i + 1);
      return;
    }
    if (topK || take >= count)
      return; // rounding: all of them
  }
}

} // namespace heddle
