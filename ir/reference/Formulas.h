//===- Formulas.h - docs/arithmetic.md, one row or one head at a time -----------------------------------------------===//
//
// The two meanings of the ops: `Exact` is mathematics in f64 with the C library's functions; `One` is the one arithmetic, where
// the order of every operation matters. Everything else of the interpreter is loops over these, the same for both.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "ir/reference/Tensor.h"
#include "ir/reference/Weights.h"
#include <algorithm>
#include <optional>

namespace heddle::reference {

enum class Function { silu, geluTanh, ossGate, ossUp, gelu, relu, tanh };

/// heddle.rope_table.
struct Rope {
  int64_t dims = 0;
  double base = 0, scale = 1;
  std::vector<double> factors; // empty or [dims / 2]
  double magnitude = 1;        // of cos and sin
  double factor(int64_t pair) const { return factors.empty() ? 1.0 : factors[static_cast<size_t>(pair)]; }
};

/// A key that the query may see. k, v [headDim], rounded to the cache's type when they were stored.
struct Key {
  int64_t position; // decides the chunk
  int64_t column;   // where bias and probed weights have it
  const double *k, *v;
};

/// One query of one head; q [headDim] normed, rotated and scaled; bias by Key::column, or null.
template <class R> struct HeadQuery {
  const R *q;
  int64_t headDim;
  std::optional<float> softCap;
  const R *bias = nullptr;
  std::optional<R> sink = std::nullopt; // the score of a key that is always seen and has no value
};

inline constexpr int64_t kChunk = 64; // key positions per chunk

struct Exact {
  using Real = double;
  static constexpr bool quantizes = false; // q8 stays f64
  using Row = std::vector<double>;
  static void fetch(const WeightSource &source, const WeightRef &weight, int64_t row, int64_t columns, Row &out);
  /// Element k of a fetched row (token embedding).
  static double element(const Row &row, int64_t k) { return row[static_cast<size_t>(k)]; }
  /// The product of a fetched row with row `token` of the input.
  static double dot(const Row &row, const Tensor &input, int64_t token);
  static double activate(Function f, double x);
  static double exponential(double x);
  static double multiplyAdd(double a, double b, double c) { return a * b + c; }
  static void norm(const double *x, const double *weight, int64_t n, float eps, double *y);
  /// Σ of values in increasing index.
  static double sum(const std::vector<double> &values);
  static void layerNorm(const double *x, const double *weight, const double *bias, int64_t n, float eps,
                        double *y); // bias or null
  static void normalize(const double *x, int64_t n, float eps, double *y);
  static void rotate(const Rope &rope, bool interleaved, int64_t position, double *head);
  static void cache(const double *x, int64_t n, bool, double *out) { std::copy_n(x, n, out); }
  /// keys in increasing position. out [headDim]; weights, when wanted, [keys.size()].
  static void attend(const HeadQuery<double> &query, const std::vector<Key> &keys, double *out, double *weights);
};

struct One {
  using Real = float;
  static constexpr bool quantizes = true;
  struct Row {
    bool quantized = false;
    IntegerRow integers;
    std::vector<float> floats;
  };
  static void fetch(const WeightSource &source, const WeightRef &weight, int64_t row, int64_t columns, Row &out);
  static float element(const Row &row, int64_t k);
  static float dot(const Row &row, const Tensor &input, int64_t token);
  static float activate(Function f, float x);
  static float exponential(float x);
  static float multiplyAdd(float a, float b, float c);
  static float sum(const std::vector<float> &values);
  static void norm(const float *x, const float *weight, int64_t n, float eps, float *y);
  static void layerNorm(const float *x, const float *weight, const float *bias, int64_t n, float eps, float *y); // bias or null
  static void normalize(const float *x, int64_t n, float eps, float *y);
  static void rotate(const Rope &rope, bool interleaved, int64_t position, float *head);
  /// A head as the KV cache gives it back: rounded to f16, or in 8 bits.
  static void cache(const float *x, int64_t n, bool q8, double *out);
  static void attend(const HeadQuery<float> &query, const std::vector<Key> &keys, float *out, float *weights);
  /// x [n] → q [n] and their scale; a block has 32.
  static float quantize(const float *x, int8_t *q, int64_t n = kQ8Block);
};

/// The pair (a, b) that rotation i of a head acts on.
inline int64_t pairFirst(bool interleaved, int64_t i) { return interleaved ? 2 * i : i; }
inline int64_t pairSecond(bool interleaved, int64_t i, int64_t dims) { return interleaved ? 2 * i + 1 : i + dims / 2; }

/// Element i goes to partial sum i mod 16; the partial sums fold in one tree.
struct Lanes {
  float partial[16] = {};
  float fold() const;
};

/// f32 → f16 (ties to even, infinity beyond the range) → f32, by integer arithmetic alone.
uint16_t toHalf(float x);
float fromHalf(uint16_t bits);

} // namespace heddle::reference
