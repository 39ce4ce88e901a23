//===- Rows.cpp - element-wise ops, norms, rotary embedding ---------------------------------------------------------===//
#include "ir/reference/KernelsImpl.h"
#include <algorithm>
#include <cmath>

using namespace heddle::reference;

static Columns both(Columns a, Columns b) {
  Columns c{std::max(a.begin, b.begin), std::min(a.end, b.end)};
  return c.size() > 0 ? c : Columns{};
}

/// `f` of each pair of elements.
template <class A, class F> static Problem elementWise(const Tensor &a, const Tensor &b, Tensor &out, F f) {
  using Real = typename A::Real;
  if (!isReal<A>(a) || !isReal<A>(b))
    return "operands must hold reals";
  if (a.shape != b.shape)
    return "operands differ in shape";
  out = makeReals<Real>(a.shape);
  out.valid = both(a.valid, b.valid);
  for (int64_t i = 0, n = a.rows() * a.columns(); i < n; ++i)
    reals<Real>(out)[i] = f(reals<Real>(a)[i], reals<Real>(b)[i]);
  return {};
}

template <class A> Problem KernelsOf<A>::add(const Tensor &a, const Tensor &b, Tensor &out) const {
  return elementWise<A>(a, b, out, [](Real x, Real y) { return x + y; });
}
template <class A> Problem KernelsOf<A>::mul(const Tensor &a, const Tensor &b, Tensor &out) const {
  return elementWise<A>(a, b, out, [](Real x, Real y) { return x * y; });
}
template <class A> Problem KernelsOf<A>::activate(Function f, const Tensor &input, Tensor &out) const {
  return elementWise<A>(input, input, out, [f](Real x, Real) { return A::activate(f, x); });
}
template <class A> Problem KernelsOf<A>::scale(float by, const Tensor &input, Tensor &out) const {
  return elementWise<A>(input, input, out, [by](Real x, Real) { return x * static_cast<Real>(by); });
}

template <class A> Problem KernelsOf<A>::selectRows(const Tensor &input, const Tensor &rows, Tensor &out) const {
  const auto *wanted = rows.as<std::vector<int32_t>>();
  if (!wanted)
    return "rows must be i32";
  int64_t columns = input.columns(), blocks = columns / kQ8Block;
  out = input;
  out.shape[0] = static_cast<int64_t>(wanted->size());
  std::vector<Real> x;
  Q8Rows q8;
  for (int64_t row : *wanted) {
    if (row < 0 || row >= input.rows())
      return "row " + std::to_string(row) + " is outside the " + std::to_string(input.rows()) + " tokens of the step";
    if (const Real *from = reals<Real>(input))
      x.insert(x.end(), from + row * columns, from + (row + 1) * columns);
    if (const auto *from = input.as<Q8Rows>()) {
      q8.q.insert(q8.q.end(), from->q.begin() + row * columns, from->q.begin() + (row + 1) * columns);
      q8.d.insert(q8.d.end(), from->d.begin() + row * blocks, from->d.begin() + (row + 1) * blocks);
    }
  }
  if (input.as<Q8Rows>())
    out.data = std::move(q8);
  else
    out.data = std::move(x);
  return {};
}

template <class A> std::vector<typename A::Real> KernelsOf<A>::vectorOf(const Tensor &t, int64_t n) const {
  if (t.columns() != n || t.rows() != 1)
    return {};
  if (const Real *x = reals<Real>(t))
    return {x, x + n};
  const auto *weight = t.as<WeightRef>();
  if (!weight || weight->quantized)
    return {};
  typename A::Row row;
  A::fetch(weights_, *weight, 0, n, row);
  std::vector<Real> out;
  for (int64_t k = 0; k < n; ++k)
    out.push_back(A::element(row, k));
  return out;
}

template <class A> Problem KernelsOf<A>::norm(const NormCall &call, Tensor &out) const {
  const Tensor &x = *call.input;
  if (!isReal<A>(x) || (call.residual && !isReal<A>(*call.residual)))
    return "operands must hold reals";
  int64_t tokens = x.rows(), columns = x.columns(), n = columns / call.groups;
  std::vector<Real> weight = vectorOf(*call.weight, n);
  if (weight.empty())
    return "weight must be a float vector of " + std::to_string(n);
  std::vector<Real> bias = call.bias ? vectorOf(*call.bias, n) : std::vector<Real>();
  if (call.bias && bias.empty())
    return "bias must be a float vector of " + std::to_string(n);
  auto row = [&](const Real *from, Real *to) {
    if (call.centred)
      A::layerNorm(from, weight.data(), call.bias ? bias.data() : nullptr, n, call.eps, to);
    else
      A::norm(from, weight.data(), n, call.eps, to);
  };
  Tensor y = makeReals<Real>(x.shape);
  // A norm reads its whole row, or its group's whole part of it.
  bool known = call.groups == 1 ? x.whole() : x.valid.begin % n == 0 && x.valid.end % n == 0;
  if (known && (!call.residual || call.residual->valid.contains(x.valid))) {
    y.valid = x.valid;
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t g = 0; g < call.groups; ++g)
        row(reals<Real>(x) + t * columns + g * n, reals<Real>(y) + t * columns + g * n);
    if (call.residual)
      for (int64_t i = 0; i < tokens * columns; ++i)
        reals<Real>(y)[i] = reals<Real>(*call.residual)[i] + reals<Real>(y)[i];
  }
  if (call.q8Result)
    return quantize(y, out);
  out = std::move(y);
  return {};
}

template <class A>
Problem KernelsOf<A>::rope(const Tensor &input, const Tensor &positions, const Rope &rope, bool interleaved, int64_t heads,
                           Tensor &out) const {
  const auto *at = positions.as<std::vector<int32_t>>();
  if (!isReal<A>(input) || !at || static_cast<int64_t>(at->size()) != input.rows())
    return "needs reals and an i32 position per row";
  int64_t columns = input.columns(), headDim = columns / heads;
  out = input;
  if (input.valid.begin % headDim || input.valid.end % headDim)
    return "this rank's share cuts a head";
  for (int64_t t = 0; t < input.rows(); ++t)
    for (int64_t h = 0; h < heads; ++h)
      A::rotate(rope, interleaved, (*at)[static_cast<size_t>(t)], reals<Real>(out) + t * columns + h * headDim);
  return {};
}

template <class A> Problem KernelsOf<A>::recurrence(const RecurrenceCall &call, Tensor &out) const {
  const Tensor &keep = *call.keep, &input = *call.input;
  if (!isReal<A>(keep) || !isReal<A>(input) || keep.shape != input.shape)
    return "operands must hold reals of one shape";
  if (!keep.valid.contains(call.columns) || !input.valid.contains(call.columns))
    return "operands are not whole over the features to compute";
  const auto *sequences = call.sequences->as<std::vector<int32_t>>(), *rows = call.rows->as<std::vector<int32_t>>();
  if (!sequences || !rows || static_cast<int64_t>(sequences->size()) != input.rows())
    return "needs a sequence of each token and a row of each sequence";
  out = makeReals<Real>(input.shape);
  out.valid = call.columns;
  for (int64_t t = 0; t < input.rows(); ++t) {
    auto sequence = static_cast<size_t>((*sequences)[static_cast<size_t>(t)]);
    if (sequence >= rows->size())
      return "sequence " + std::to_string(sequence) + " has no row of the state";
    double *state = call.state->row((*rows)[sequence], call.layer);
    for (int64_t j = call.columns.begin; j < call.columns.end; ++j) {
      int64_t at = t * input.columns() + j;
      Real h = std::fma(reals<Real>(keep)[at], static_cast<Real>(state[j]), reals<Real>(input)[at]);
      reals<Real>(out)[at] = h, state[j] = h;
    }
  }
  return {};
}

template <class A>
Problem KernelsOf<A>::meanRows(const Tensor &input, const Tensor &first, const Tensor &last, Tensor &out) const {
  const auto *from = first.as<std::vector<int32_t>>(), *to = last.as<std::vector<int32_t>>();
  if (!isReal<A>(input) || !from || !to || from->size() != to->size())
    return "needs reals, and a first and a last token of each sequence";
  if (!input.whole())
    return "input is not whole";
  const int64_t columns = input.columns();
  out = makeReals<Real>({static_cast<int64_t>(from->size()), columns});
  out.valid = {0, columns};
  for (size_t s = 0; s < from->size(); ++s) {
    if ((*from)[s] < 0 || (*from)[s] > (*to)[s] || (*to)[s] >= input.rows())
      return "sequence " + std::to_string(s) + " is outside the tokens of the step";
    for (int64_t n = 0; n < columns; ++n) {
      Real sum = 0;
      for (int64_t t = (*from)[s]; t <= (*to)[s]; ++t)
        sum += reals<Real>(input)[t * columns + n];
      reals<Real>(out)[static_cast<int64_t>(s) * columns + n] = sum / static_cast<Real>((*to)[s] - (*from)[s] + 1);
    }
  }
  return {};
}

template <class A> Problem KernelsOf<A>::normalize(const Tensor &input, float eps, Tensor &out) const {
  if (!isReal<A>(input))
    return "operand must hold reals";
  if (!input.whole())
    return "input is not whole";
  const int64_t columns = input.columns();
  out = makeReals<Real>(input.shape);
  out.valid = input.valid;
  for (int64_t t = 0; t < input.rows(); ++t)
    A::normalize(reals<Real>(input) + t * columns, columns, eps, reals<Real>(out) + t * columns);
  return {};
}

namespace heddle::reference {
#define HEDDLE_ROWS_OF(A)                                                                                                        \
  template Problem KernelsOf<A>::add(const Tensor &, const Tensor &, Tensor &) const;                                            \
  template Problem KernelsOf<A>::mul(const Tensor &, const Tensor &, Tensor &) const;                                            \
  template Problem KernelsOf<A>::activate(Function, const Tensor &, Tensor &) const;                                             \
  template Problem KernelsOf<A>::scale(float, const Tensor &, Tensor &) const;                                                   \
  template Problem KernelsOf<A>::selectRows(const Tensor &, const Tensor &, Tensor &) const;                                     \
  template Problem KernelsOf<A>::meanRows(const Tensor &, const Tensor &, const Tensor &, Tensor &) const;                       \
  template Problem KernelsOf<A>::normalize(const Tensor &, float, Tensor &) const;                                               \
  template std::vector<A::Real> KernelsOf<A>::vectorOf(const Tensor &, int64_t) const;                                           \
  template Problem KernelsOf<A>::norm(const NormCall &, Tensor &) const;                                                         \
  template Problem KernelsOf<A>::recurrence(const RecurrenceCall &, Tensor &) const;                                             \
  template Problem KernelsOf<A>::rope(const Tensor &, const Tensor &, const Rope &, bool, int64_t, Tensor &) const;
HEDDLE_ROWS_OF(Exact)
HEDDLE_ROWS_OF(One)
} // namespace heddle::reference
