//===- ExactFormulas.cpp - the mathematics, in f64 ------------------------------------------------------------------===//
//
// Written without a look at the one arithmetic: the C library's functions, sums in plain order, softmax in two passes.
//===---------------------------------------------------------------------------------------------------------------===//
#include "ir/reference/Formulas.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace heddle::reference;

void Exact::fetch(const WeightSource &source, const WeightRef &weight, int64_t row, int64_t columns, Row &out) {
  out.resize(static_cast<size_t>(columns));
  source.exactRow(weight.name, row, out.data());
}

double Exact::dot(const Row &row, const Tensor &input, int64_t token) {
  const double *x = reals<double>(input) + token * input.columns();
  double sum = 0;
  for (size_t k = 0; k < row.size(); ++k)
    sum += row[k] * x[k];
  return sum;
}

double Exact::activate(Function f, double x) {
  constexpr double rootTwoOverPi = 0.79788456080286535588, rootHalf = 0.70710678118654752440;
  switch (f) {
  case Function::silu:
    return x / (1 + std::exp(-x));
  case Function::geluTanh:
    return 0.5 * x * (1 + std::tanh(rootTwoOverPi * (x + 0.044715 * x * x * x)));
  case Function::ossGate:
    x = std::min(x, 7.0);
    return x / (1 + std::exp(-1.702 * x));
  case Function::ossUp:
    return std::clamp(x, -7.0, 7.0) + 1;
  case Function::gelu:
    return 0.5 * x * (1 + std::erf(x * rootHalf));
  case Function::relu:
    return x < 0 ? 0 : x; // NaN stays
  case Function::tanh:
    return std::tanh(x);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

double Exact::exponential(double x) { return std::exp(x); }
double Exact::sum(const std::vector<double> &values) { return std::accumulate(values.begin(), values.end(), 0.0); }

void Exact::norm(const double *x, const double *weight, int64_t n, float eps, double *y) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i)
    squares += x[i] * x[i];
  double root = std::sqrt(squares / static_cast<double>(n) + static_cast<double>(eps));
  for (int64_t i = 0; i < n; ++i)
    y[i] = x[i] / root * weight[i];
}

void Exact::layerNorm(const double *x, const double *weight, const double *bias, int64_t n, float eps, double *y) {
  const auto count = static_cast<double>(n);
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < n; ++i)
    mean += x[i] / count;
  for (int64_t i = 0; i < n; ++i)
    variance += (x[i] - mean) * (x[i] - mean) / count;
  const double root = std::sqrt(variance + static_cast<double>(eps));
  for (int64_t i = 0; i < n; ++i)
    y[i] = (x[i] - mean) / root * weight[i] + (bias ? bias[i] : 0);
}

void Exact::normalize(const double *x, int64_t n, float eps, double *y) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i)
    squares += x[i] * x[i];
  const double length = std::max(std::sqrt(squares), static_cast<double>(eps));
  for (int64_t i = 0; i < n; ++i)
    y[i] = x[i] / length;
}

void Exact::rotate(const Rope &rope, bool interleaved, int64_t position, double *head) {
  for (int64_t i = 0; i < rope.dims / 2; ++i) {
    double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(rope.dims);
    double angle = static_cast<double>(position) * std::pow(rope.base, -exponent) / (rope.scale * rope.factor(i));
    double &a = head[pairFirst(interleaved, i)], &b = head[pairSecond(interleaved, i, rope.dims)];
    const double c = std::cos(angle) * rope.magnitude, s = std::sin(angle) * rope.magnitude;
    double rotated = a * c - b * s;
    b = a * s + b * c;
    a = rotated;
  }
}

void Exact::attend(const HeadQuery<double> &query, const std::vector<Key> &keys, double *out, double *weights) {
  std::vector<double> scores(keys.size());
  for (size_t t = 0; t < keys.size(); ++t) {
    double s = 0;
    for (int64_t j = 0; j < query.headDim; ++j)
      s += query.q[j] * keys[t].k[j];
    if (query.softCap)
      s = static_cast<double>(*query.softCap) * std::tanh(s / static_cast<double>(*query.softCap));
    if (query.bias)
      s += query.bias[keys[t].column];
    scores[t] = s;
  }
  double most = scores.empty() ? 0 : *std::max_element(scores.begin(), scores.end());
  most = std::max(most, query.sink.value_or(most));
  double sum = query.sink ? std::exp(*query.sink - most) : 0;
  for (double &s : scores)
    sum += s = std::exp(s - most);
  std::fill_n(out, query.headDim, 0.0);
  for (size_t t = 0; t < keys.size(); ++t) {
    for (int64_t j = 0; j < query.headDim; ++j)
      out[j] += scores[t] / sum * keys[t].v[j];
    if (weights)
      weights[t] = scores[t] / sum;
  }
}
