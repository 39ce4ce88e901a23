// The sampler against its definition, written here the slow way: sort everything, compute all noise.
#include "runtime/engine/Sampler.h"
#include "runtime/math/Functions.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <random>

using namespace heddle;

namespace {

std::vector<float> randomLogits(int64_t count, uint64_t seed, float spread = 4) {
  std::mt19937_64 random(seed);
  std::vector<float> x(count);
  for (float &v : x) { // a sum of uniforms: no library's normal distribution
    float sum = 0;
    for (int i = 0; i < 6; ++i)
      sum += static_cast<float>(random() >> 40) * 0x1p-24f - 0.5f;
    v = sum * spread;
  }
  return x;
}

std::vector<int32_t> sorted(const std::vector<float> &x) {
  std::vector<int32_t> ids(x.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) { return x[a] > x[b] || (x[a] == x[b] && a < b); });
  return ids;
}

/// Sampler.h's eight steps, literally.
int32_t slowly(std::vector<float> x, const std::vector<int32_t> &known, const SamplingParams &p, uint64_t seed) {
  float penalty = static_cast<float>(p.repeatPenalty);
  std::vector<int32_t> distinct = known;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (int32_t id : distinct)
    x[id] = x[id] > 0 ? x[id] / penalty : x[id] * penalty;
  std::vector<int32_t> kept = sorted(x);
  if (p.temperature == 0)
    return kept[0];
  float max = x[kept[0]];
  auto z = [&](int32_t id) { return (static_cast<double>(x[id]) - max) / p.temperature; };
  auto weight = [&](int32_t id) { return static_cast<double>(math::exp(static_cast<float>(z(id)))); };
  double total = 0;
  if (p.topK > 0 && p.topK < static_cast<int64_t>(kept.size())) {
    kept.resize(p.topK);
    for (int32_t id : kept)
      total += weight(id);
  } else {
    double lane[16] = {};
    for (size_t id = 0; id < x.size(); ++id)
      lane[id % 16] += weight(static_cast<int32_t>(id));
    for (size_t half : {8, 4, 2, 1})
      for (size_t j = 0; j < half; ++j)
        lane[j] += lane[j + half];
    total = lane[0];
  }
  if (p.topP < 1) {
    double sum = 0;
    size_t n = 0;
    while (n < kept.size() && sum < p.topP * total)
      sum += weight(kept[n++]);
    kept.resize(n);
  }
  std::erase_if(kept, [&](int32_t id) { return weight(id) < p.minP; });
  std::sort(kept.begin(), kept.end());
  TokenNoise noise(seed, 0, known.size());
  int32_t best = -1;
  double bestScore = 0;
  for (int32_t id : kept) {
    double score = z(id) + TokenNoise::gumbel(noise.bits(id));
    if (best < 0 || score > bestScore)
      best = id, bestScore = score;
  }
  return best;
}

TEST(Sampler, DoesWhatItsDefinitionSays) {
  Sampler sampler;
  std::mt19937_64 random(1);
  int64_t different = 0;
  for (int trial = 0; trial < 600; ++trial) {
    int64_t vocabulary = trial % 3 ? 5000 + trial : 1 + trial;
    std::vector<float> x = randomLogits(vocabulary, trial, trial % 2 ? 4 : 20);
    SamplingParams p;
    p.temperature = trial % 7 == 0 ? 0 : 0.2 + static_cast<double>(trial % 11) * 0.3;
    p.topK = trial % 4 == 1 ? 1 + trial % 200 : 0;
    p.topP = trial % 5 < 2 ? 0.05 + 0.13 * (trial % 7) : 1;
    p.minP = trial % 6 == 2 ? 0.02 * (trial % 9) : 0;
    p.repeatPenalty = trial % 8 == 3 ? 1.7 : trial % 8 == 5 ? 0.6 : 1;
    std::vector<int32_t> known;
    for (int i = 0; i < trial % 40; ++i)
      known.push_back(static_cast<int32_t>(random() % vocabulary));
    auto got = sampler.sample(x.data(), vocabulary, known, p, trial);
    ASSERT_EQ(got.error, "");
    ASSERT_EQ(got.token.token, slowly(x, known, p, trial)) << "trial " << trial;
    different += got.token.token != std::max_element(x.begin(), x.end()) - x.begin();
  }
  EXPECT_GT(different, 200) << "the trials should not all be greedy";
}

TEST(Sampler, TokensComeWithTheirProbabilities) {
  std::vector<float> x = {1, 3, 2, 0, -30};
  SamplingParams p;
  p.temperature = 2;
  Sampler sampler;
  std::map<int32_t, double> counts;
  constexpr int kDraws = 200000;
  for (int seed = 0; seed < kDraws; ++seed)
    counts[sampler.sample(x.data(), 5, {}, p, seed).token.token] += 1.0 / kDraws;
  double total = 0;
  for (float v : x)
    total += std::exp(v / 2);
  for (int id = 0; id < 5; ++id) // 6 standard deviations
    EXPECT_NEAR(counts[id], std::exp(x[id] / 2) / total, 6 * 0.5 / std::sqrt(kDraws)) << id;
}

TEST(Sampler, NoiseDependsOnSeedSequencePositionAndTokenOnly) {
  std::map<uint64_t, int> seen;
  for (uint64_t seed : {0u, 1u, 99u})
    for (uint64_t sequence : {0u, 1u})
      for (uint64_t position : {0u, 1u, 500u})
        for (int32_t token : {0, 1, 49151}) {
          TokenNoise noise(seed, sequence, position);
          ++seen[noise.bits(token)];
          EXPECT_EQ(noise.bits(token), TokenNoise(seed, sequence, position).bits(token));
        }
  EXPECT_EQ(seen.size(), 3u * 2 * 3 * 3);
  // Written down, so that a seed gives the same text in the next release.
  EXPECT_EQ(TokenNoise(1, 0, 10).bits(5), 3670551479084154u);
}

TEST(Sampler, TheNoiseBoundHolds) {
  std::mt19937_64 random(3);
  std::vector<uint64_t> all = {0, 1, 2, (uint64_t{1} << 52) - 1, (uint64_t{1} << 52) - 2, (uint64_t{1} << 52) - 3};
  for (int i = 0; i < 200000; ++i)
    all.push_back(((uint64_t{1} << 52) - 1 - (random() >> 12 >> (i % 52))));
  for (uint64_t bits : all) {
    ASSERT_TRUE(std::isfinite(TokenNoise::gumbel(bits)));
    ASSERT_LE(TokenNoise::gumbel(bits), TokenNoise::bound(bits)) << bits;
    ASSERT_LE(TokenNoise::bound(bits), TokenNoise::kMost);
  }
}

TEST(Sampler, TiesGoToTheLowerId) {
  std::vector<float> x(3000, 1.5f);
  x[0] = 1;
  Sampler sampler;
  SamplingParams p;
  p.logprobs = 3;
  auto got = sampler.sample(x.data(), 3000, {}, p, 0);
  EXPECT_EQ(got.token.token, 1);
  ASSERT_EQ(got.token.best.size(), 3u);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(got.token.best[i].token, 1 + i);
}

TEST(Sampler, NamesTheFirstLogitThatIsNoNumberOrInfinite) {
  Sampler sampler;
  for (auto [bad, name] : {std::pair(NAN, "NaN"), std::pair(INFINITY, "+infinity")})
    for (int64_t at : {0, 15, 1024, 2999}) {
      std::vector<float> x = randomLogits(3000, 1);
      x[at] = x[2999] = bad;
      x[1] = at == 1 ? bad : -INFINITY;
      EXPECT_EQ(sampler.sample(x.data(), 3000, {}, {}, 0).error, "token id " + std::to_string(at) + " has a logit of " + name);
    }
}

TEST(Sampler, MinusInfinityMeansNeverThisToken) {
  Sampler sampler;
  // The rest must come out as if the forbidden ids were not there: whole chunks of 1,024, single ids, the best of all.
  std::vector<float> x = randomLogits(3000, 2);
  std::vector<int32_t> allowed;
  for (int32_t id = 0; id < 3000; ++id) {
    if (id < 1024 || id % 3 == 0)
      x[id] = -INFINITY;
    else
      allowed.push_back(id);
  }
  int32_t best = *std::max_element(allowed.begin(), allowed.end(), [&](int32_t a, int32_t b) { return x[a] < x[b]; });
  SamplingParams p;
  p.logprobs = 20;
  auto greedy = sampler.sample(x.data(), 3000, {}, p, 0);
  EXPECT_EQ(greedy.error, "");
  EXPECT_EQ(greedy.token.token, best);
  double total = 0;
  for (int32_t id : allowed)
    total += std::exp(static_cast<double>(x[id]) - x[best]);
  EXPECT_NEAR(greedy.token.logprob, -std::log(total), 1e-5);

  std::vector<int32_t> known = {0, 3, best}; // two forbidden ones: a penalty must not make them possible
  for (double temperature : {0.0, 0.5, 10.0})
    for (double topP : {1.0, 0.9})
      for (int64_t topK : {0, 7, 2999})
        for (double penalty : {1.0, 0.1, 10.0})
          for (uint64_t seed = 0; seed < 20; ++seed) {
            SamplingParams q;
            q.temperature = temperature, q.topK = topK, q.topP = topP, q.repeatPenalty = penalty, q.logprobs = 3;
            auto got = sampler.sample(x.data(), 3000, known, q, seed);
            ASSERT_EQ(got.error, "");
            ASSERT_GT(x[got.token.token], -INFINITY);
            ASSERT_TRUE(std::isfinite(got.token.logprob));
            ASSERT_EQ(got.token.best.size(), 3u);
          }

  std::vector<float> one(2000, -INFINITY); // only one is left: it comes, with certainty, and stands alone in the list
  one[1500] = -3;
  auto only = sampler.sample(one.data(), 2000, {}, p, 0);
  EXPECT_EQ(only.token.token, 1500);
  EXPECT_EQ(only.token.logprob, 0);
  ASSERT_EQ(only.token.best.size(), 1u);
  EXPECT_EQ(only.token.best[0].token, 1500);

  one[1500] = -INFINITY;
  EXPECT_EQ(sampler.sample(one.data(), 2000, {}, {}, 0).error, "every token has a logit of -infinity");
}

TEST(Sampler, HugeFiniteLogitsAreFine) {
  Sampler sampler;
  std::vector<float> huge = {3e38f, -3e38f, 1e38f}; // whatever the parameters make of them
  SamplingParams p;
  p.temperature = 1e-300;
  p.repeatPenalty = 0.1;
  p.topP = 0.5;
  std::vector<int32_t> known = {0, 1};
  EXPECT_EQ(sampler.sample(huge.data(), 3, known, p, 0).token.token, 0);
}

TEST(LogSoftmax, IsTheDocumentedFormula) {
  for (int64_t count : {1, 15, 16, 1024, 1025, 2500, 49152}) {
    std::vector<float> x = randomLogits(count, count, 9);
    float max = 0, sum = 0;
    for (int64_t begin = 0; begin < count; begin += 1024) { // docs/arithmetic.md, "Sampling", literally
      int64_t n = std::min<int64_t>(1024, count - begin);
      float m = *std::max_element(x.begin() + begin, x.begin() + begin + n), a[16] = {};
      for (int64_t i = 0; i < n; ++i)
        a[i % 16] = a[i % 16] + math::exp(x[begin + i] - m);
      for (int j = 0; j < 8; ++j)
        a[j] += a[j + 8];
      for (int j = 0; j < 4; ++j)
        a[j] += a[j + 4];
      for (int j = 0; j < 2; ++j)
        a[j] += a[j + 2];
      float s = a[0] + a[1], merged = std::max(max, m);
      if (begin == 0)
        max = m, sum = s;
      else
        sum = std::fma(sum, math::exp(max - merged), s * math::exp(m - merged)), max = merged;
    }
    RowScan scan;
    scanRow(x.data(), count, scan);
    LogNormalizer got = logNormalizer(x.data(), count, scan);
    EXPECT_EQ(std::bit_cast<uint32_t>(got.max), std::bit_cast<uint32_t>(max));
    EXPECT_EQ(std::bit_cast<uint32_t>(got.logSum),
              std::bit_cast<uint32_t>(static_cast<float>(math::log(static_cast<double>(sum)))));
    double exact = 0;
    for (float v : x)
      exact += std::exp(static_cast<double>(v) - max);
    EXPECT_NEAR(got.logSum, std::log(exact), 1e-5); // f32 sums of at most 49,152 terms
    EXPECT_EQ(scan.argmax, std::max_element(x.begin(), x.end()) - x.begin());
  }
}

TEST(LogSoftmax, BestOfEqualsASort) {
  for (int64_t count : {1, 100, 2500, 9000})
    for (int64_t k : {1, 20, 1000, 100000}) {
      std::vector<float> x = randomLogits(count, k + count);
      for (float &v : x)
        v = std::round(v * 8) / 8; // many ties
      std::vector<int32_t> want = sorted(x), got;
      want.resize(std::min(k, count));
      RowScan scan;
      scanRow(x.data(), count, scan);
      bestOf(x.data(), count, scan, k, got);
      EXPECT_EQ(got, want) << count << " " << k;
    }
}

} // namespace
