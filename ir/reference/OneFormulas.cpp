//===- OneFormulas.cpp - the one arithmetic of products, norms and rotations ----------------------------------------===//
//
// docs/arithmetic.md as plain loops; its order of operations is the whole content of this file. std::fma is the fused one and
// every other operation rounds once: the build forbids contraction.
//===---------------------------------------------------------------------------------------------------------------===//
#include "ir/reference/Formulas.h"
#include "runtime/math/Functions.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

using namespace heddle::reference;

float Lanes::fold() const {
  float a[16];
  std::copy_n(partial, 16, a);
  for (int width = 8; width >= 1; width /= 2)
    for (int j = 0; j < width; ++j)
      a[j] += a[j + width];
  return a[0];
}

// ---- weights ----

void One::fetch(const WeightSource &source, const WeightRef &weight, int64_t row, int64_t columns, Row &out) {
  out.quantized = weight.quantized;
  if (weight.quantized) {
    source.integerRow(weight.name, row, out.integers);
  } else {
    out.floats.resize(static_cast<size_t>(columns));
    source.floatRow(weight.name, row, out.floats.data());
  }
}

float One::element(const Row &row, int64_t k) {
  if (!row.quantized)
    return row.floats[static_cast<size_t>(k)];
  const IntegerRow &r = row.integers;
  auto sub = static_cast<size_t>(k / r.subBlock);
  auto code = static_cast<float>(r.codes[static_cast<size_t>(k)]);
  return r.hasMinimum ? std::fma(code, r.scales[sub], r.minima[sub]) : code * r.scales[sub];
}

/// Blocks of 32 activations in increasing K, each as one or two sub-blocks of the weight, exact in integers inside.
static float integerDot(const IntegerRow &w, const int8_t *q, const float *d, int64_t columns) {
  float acc = 0.0f;
  for (int64_t start = 0; start < columns; start += w.subBlock) {
    int32_t products = 0, sum = 0;
    for (int64_t k = start; k < start + w.subBlock; ++k) {
      products += w.codes[static_cast<size_t>(k)] * q[k];
      sum += q[k];
    }
    auto sub = static_cast<size_t>(start / w.subBlock);
    float scale = d[start / kQ8Block];
    acc = std::fma(static_cast<float>(products), w.scales[sub] * scale, acc);
    if (w.hasMinimum)
      acc = std::fma(w.minima[sub], scale * static_cast<float>(sum), acc);
  }
  return acc;
}

float One::dot(const Row &row, const Tensor &input, int64_t token) {
  int64_t columns = input.columns();
  if (const auto *x = input.as<Q8Rows>())
    return integerDot(row.integers, x->q.data() + token * columns, x->d.data() + token * (columns / kQ8Block), columns);
  const float *x = reals<float>(input) + token * columns;
  float acc = 0.0f;
  for (int64_t k = 0; k < columns; ++k)
    acc = std::fma(row.floats[static_cast<size_t>(k)], x[k], acc);
  return acc;
}

// ---- activations ----

float One::activate(Function f, float x) {
  switch (f) {
  case Function::silu:
    return math::silu(x);
  case Function::geluTanh:
    return math::geluTanh(x);
  case Function::ossGate:
    return math::ossGate(x);
  case Function::ossUp:
    return math::ossUp(x);
  case Function::gelu:
    return math::gelu(x);
  case Function::relu:
    return math::relu(x);
  case Function::tanh:
    return math::tanh(x);
  }
  return std::numeric_limits<float>::quiet_NaN();
}

float One::exponential(float x) { return math::exp(x); }
float One::multiplyAdd(float a, float b, float c) { return std::fma(a, b, c); }
float One::sum(const std::vector<float> &values) {
  Lanes lanes;
  for (size_t i = 0; i < values.size(); ++i)
    lanes.partial[i % 16] += values[i];
  return lanes.fold();
}

float One::quantize(const float *x, int8_t *q, int64_t n) {
  int32_t largest = 0; // magnitudes order like their bits, and a NaN's are the largest
  for (int64_t i = 0; i < n; ++i)
    largest = std::max(largest, std::bit_cast<int32_t>(std::fabs(x[i])));
  float amax = std::bit_cast<float>(largest);
  if (amax < 0x1p-100f) {
    std::fill_n(q, n, int8_t{0});
    return 0.0f;
  }
  float inverse = 127.0f / amax;
  for (int64_t i = 0; i < n; ++i) {
    float r = std::nearbyint(x[i] * inverse);
    q[i] = std::isnan(r) ? int8_t{0} : static_cast<int8_t>(std::clamp(r, -127.0f, 127.0f));
  }
  return amax / 127.0f;
}

void One::norm(const float *x, const float *weight, int64_t n, float eps, float *y) {
  Lanes squares;
  for (int64_t i = 0; i < n; ++i)
    squares.partial[i % 16] = std::fma(x[i], x[i], squares.partial[i % 16]);
  float r = 1.0f / std::sqrt(squares.fold() / static_cast<float>(n) + eps);
  for (int64_t i = 0; i < n; ++i)
    y[i] = (x[i] * r) * weight[i];
}

void One::layerNorm(const float *x, const float *weight, const float *bias, int64_t n, float eps, float *y) {
  const auto count = static_cast<float>(n);
  Lanes sums, squares;
  for (int64_t i = 0; i < n; ++i)
    sums.partial[i % 16] += x[i];
  const float mean = sums.fold() / count;
  for (int64_t i = 0; i < n; ++i)
    squares.partial[i % 16] = std::fma(x[i] - mean, x[i] - mean, squares.partial[i % 16]);
  const float r = 1.0f / std::sqrt(squares.fold() / count + eps);
  for (int64_t i = 0; i < n; ++i)
    y[i] = bias ? std::fma((x[i] - mean) * r, weight[i], bias[i]) : ((x[i] - mean) * r) * weight[i];
}

void One::normalize(const float *x, int64_t n, float eps, float *y) {
  Lanes squares;
  for (int64_t i = 0; i < n; ++i)
    squares.partial[i % 16] = std::fma(x[i], x[i], squares.partial[i % 16]);
  const float root = std::sqrt(squares.fold()), length = root < eps ? eps : root;
  for (int64_t i = 0; i < n; ++i)
    y[i] = x[i] / length;
}

void One::rotate(const Rope &rope, bool interleaved, int64_t position, float *head) {
  for (int64_t i = 0; i < rope.dims / 2; ++i) {
    // The table's entry: f64 until the one rounding of cos and sin.
    double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(rope.dims), sine, cosine;
    double frequency = math::exp(-(exponent * math::log(rope.base))) / (rope.scale * rope.factor(i));
    math::sincos(static_cast<double>(position) * frequency, sine, cosine);
    auto s = static_cast<float>(sine * rope.magnitude), c = static_cast<float>(cosine * rope.magnitude);
    float &a = head[pairFirst(interleaved, i)], &b = head[pairSecond(interleaved, i, rope.dims)];
    float rotated = std::fma(a, c, -(b * s));
    b = std::fma(a, s, b * c);
    a = rotated;
  }
}

void One::cache(const float *x, int64_t n, bool q8, double *out) {
  if (!q8) {
    std::transform(x, x + n, out,
                   [](float v) { return static_cast<double>(fromHalf(toHalf(std::clamp(v, -65504.0f, 65504.0f)))); });
    return;
  }
  int8_t codes[kQ8Block];
  for (int64_t block = 0; block < n; block += kQ8Block) {
    int64_t size = std::min<int64_t>(kQ8Block, n - block);
    float d = quantize(x + block, codes, size);
    std::transform(codes, codes + size, out + block, [d](int8_t q) { return static_cast<double>(static_cast<float>(q) * d); });
  }
}
