//===- Tensor.h - a value of the interpreter ------------------------------------------------------------------------===//
//
// Plain data, no MLIR. Besides its elements a tensor knows which of its columns are valid on this rank: a sharded value holds
// NaN elsewhere, and an op that reads a column outside the valid range makes NaN of its whole result, so that a share can not be
// mistaken for the whole even where the arithmetic would hide it.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace heddle::reference {

/// Which arithmetic gives ops their meaning.
enum class Mode {
  exact,         // f64, dequantised weights, nothing rounded to f16 or q8: the meaning of stage graph
  oneArithmetic, // docs/arithmetic.md bit for bit: the meaning of stages fused and sharded
};

/// Half-open range of the last dimension.
struct Columns {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
  bool contains(Columns other) const { return other.size() <= 0 || (begin <= other.begin && other.end <= end); }
  bool operator==(const Columns &) const = default;
};

/// Activations quantised per 32 features: q [T × K], d [T × K/32].
struct Q8Rows {
  std::vector<int8_t> q;
  std::vector<float> d;
};

/// A declared weight; its rows come from the WeightSource when an op reads them.
struct WeightRef {
  std::string name;
  bool quantized = false; // integer codes, takes q8 activations
};

struct Tensor {
  std::vector<int64_t> shape; // empty for an index
  Columns valid;              // of the last dimension
  /// f32 of the one arithmetic, f64 of exact mathematics, q8, i32 (ids, positions …), an index, a weight.
  std::variant<std::vector<float>, std::vector<double>, Q8Rows, std::vector<int32_t>, int64_t, WeightRef> data;

  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  int64_t rows() const {
    int64_t n = 1;
    for (size_t i = 0; i + 1 < shape.size(); ++i)
      n *= shape[i];
    return n;
  }
  bool whole() const { return valid.begin <= 0 && valid.end >= columns(); }
  template <class T> const T *as() const { return std::get_if<T>(&data); }
};

/// Tensors are never changed once made: ops and calls share them.
using TensorPtr = std::shared_ptr<const Tensor>;

inline constexpr int64_t kQ8Block = 32; // features quantised together

/// A tensor of reals, all NaN and nowhere valid until it is written.
template <class Real> Tensor makeReals(std::vector<int64_t> shape) {
  Tensor t;
  t.shape = std::move(shape);
  t.data = std::vector<Real>(static_cast<size_t>(t.rows() * t.columns()), std::numeric_limits<Real>::quiet_NaN());
  return t;
}

/// The elements of a tensor known to hold reals.
template <class Real> const Real *reals(const Tensor &t) {
  const auto *data = t.as<std::vector<Real>>();
  return data ? data->data() : nullptr;
}
template <class Real> Real *reals(Tensor &t) {
  auto *data = std::get_if<std::vector<Real>>(&t.data);
  return data ? data->data() : nullptr;
}

} // namespace heddle::reference
