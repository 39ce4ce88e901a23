//===- OneAttention.cpp - the one arithmetic of attention, and f16 --------------------------------------------------===//
#include "ir/reference/Formulas.h"
#include "runtime/math/Functions.h"
#include <bit>
#include <cmath>

using namespace heddle::reference;

static float score(const HeadQuery<float> &query, const Key &key) {
  float s = 0.0f;
  for (int64_t j = 0; j < query.headDim; ++j)
    s = std::fma(query.q[j], static_cast<float>(key.k[j]), s);
  if (query.softCap)
    s = *query.softCap * heddle::math::tanh(s / *query.softCap);
  if (query.bias)
    s = s + query.bias[key.column];
  return s;
}

namespace {
/// What attention over some keys comes to: the output so far is o / l, its scores were taken relative to m.
struct ChunkState {
  float m = -INFINITY, l = 0.0f;
  std::vector<float> o; // [headDim]
};
} // namespace

/// keys[begin, end) lie in one chunk. Its invisible keys would add exactly nothing, so they are not there.
static ChunkState attendChunk(const HeadQuery<float> &query, const std::vector<Key> &keys, size_t begin, size_t end) {
  ChunkState chunk;
  chunk.o.assign(static_cast<size_t>(query.headDim), 0.0f);
  std::vector<float> scores;
  for (size_t t = begin; t < end; ++t) {
    scores.push_back(score(query, keys[t]));
    if (scores.back() > chunk.m)
      chunk.m = scores.back();
  }
  Lanes sum;
  for (size_t t = begin; t < end; ++t) {
    float p = heddle::math::exp(scores[t - begin] - chunk.m);
    float &lane = sum.partial[(keys[t].position % kChunk) % 16];
    lane = lane + p;
    for (size_t j = 0; j < chunk.o.size(); ++j)
      chunk.o[j] = std::fma(p, static_cast<float>(keys[t].v[j]), chunk.o[j]);
  }
  chunk.l = sum.fold();
  return chunk;
}

static void merge(ChunkState &total, const ChunkState &chunk) {
  float m = chunk.m > total.m ? chunk.m : total.m;
  float a = heddle::math::exp(total.m - m), b = heddle::math::exp(chunk.m - m);
  total.l = std::fma(total.l, a, chunk.l * b);
  for (size_t j = 0; j < total.o.size(); ++j)
    total.o[j] = std::fma(total.o[j], a, chunk.o[j] * b);
  total.m = m;
}

void One::attend(const HeadQuery<float> &query, const std::vector<Key> &keys, float *out, float *weights) {
  ChunkState total;
  total.o.assign(static_cast<size_t>(query.headDim), 0.0f);
  for (size_t begin = 0, end; begin < keys.size(); begin = end) {
    for (end = begin; end < keys.size() && keys[end].position / kChunk == keys[begin].position / kChunk;)
      ++end;
    ChunkState chunk = attendChunk(query, keys, begin, end);
    if (begin == 0)
      total = std::move(chunk);
    else
      merge(total, chunk);
  }
  if (query.sink) // as the last chunk, of one key without a value
    merge(total, {*query.sink, 1.0f, std::vector<float>(total.o.size(), 0.0f)});
  for (int64_t j = 0; j < query.headDim; ++j)
    out[j] = total.o[static_cast<size_t>(j)] / total.l;
  if (!weights)
    return;
  for (size_t t = 0; t < keys.size(); ++t)
    weights[t] = heddle::math::exp(score(query, keys[t]) - total.m) / total.l;
}

// ---- f16, by its definition: 1 sign, 5 exponent, 10 fraction bits ----

uint16_t heddle::reference::toHalf(float x) {
  auto bits = std::bit_cast<uint32_t>(x);
  auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return sign | 0x7e00; // NaN
  if (magnitude >= 0x47800000)
    return sign | 0x7c00; // 65,536 and more
  int exponent = static_cast<int>(magnitude >> 23) - 127;
  if (exponent < -25)
    return sign;                                            // below half of the smallest subnormal, 2^-24
  uint32_t significand = (magnitude & 0x7fffff) | 0x800000; // 24 bits: 1.fraction
  int dropped = exponent < -14 ? -1 - exponent : 13;        // bits below f16's last one
  uint32_t kept = significand >> dropped, rest = significand & ((1u << dropped) - 1), half = 1u << (dropped - 1);
  if (rest > half || (rest == half && kept & 1))
    ++kept;
  // A normal `kept` has its leading bit at 10, which adds 1 to the exponent field: hence +14, not +15. A carry runs over rightly.
  uint32_t field = exponent < -14 ? 0 : static_cast<uint32_t>(exponent + 14) << 10;
  return static_cast<uint16_t>(sign | (field + kept));
}

float heddle::reference::fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
  float magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                    : exponent     ? std::ldexp(static_cast<float>(1024 + fraction), exponent - 25)
                                   : std::ldexp(static_cast<float>(fraction), -24);
  return bits & 0x8000 ? -magnitude : magnitude;
}
