//===- Products.cpp - embedding, products and their epilogues, quantisation, gathers --------------------------------===//
#include "ir/reference/KernelsImpl.h"
#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

using namespace heddle::reference;

template <class A>
Problem KernelsOf<A>::embed(const Tensor &ids, const Tensor &table, std::optional<float> scale, Tensor &out) const {
  const auto *tokens = ids.as<std::vector<int32_t>>();
  const auto *weight = table.as<WeightRef>();
  if (!tokens || !weight)
    return "needs i32 ids and the value of heddle.get as its table";
  int64_t columns = table.columns();
  out = makeReals<Real>({static_cast<int64_t>(tokens->size()), columns});
  typename A::Row row;
  for (size_t t = 0; t < tokens->size(); ++t) {
    int64_t id = (*tokens)[t];
    if (id < 0 || id >= table.rows())
      return "token id " + std::to_string(id) + " is outside a table of " + std::to_string(table.rows()) + " rows";
    A::fetch(weights_, *weight, id, columns, row);
    Real *x = reals<Real>(out) + static_cast<int64_t>(t) * columns;
    for (int64_t k = 0; k < columns; ++k)
      x[k] = scale ? A::element(row, k) * static_cast<Real>(*scale) : A::element(row, k);
  }
  out.valid = {0, columns};
  return {};
}

template <class A> Problem KernelsOf<A>::quantize(const Tensor &input, Tensor &out) const {
  if (!isReal<A>(input))
    return "quantises reals only";
  int64_t columns = input.columns(), blocks = columns / kQ8Block;
  if (columns % kQ8Block)
    return std::to_string(columns) + " features do not divide into blocks of 32";
  if (input.valid.begin % kQ8Block || input.valid.end % kQ8Block)
    return "this rank's share [" + std::to_string(input.valid.begin) + ", " + std::to_string(input.valid.end) +
           ") cuts a block of 32 features";
  if constexpr (!A::quantizes) {
    out = input; // exact mathematics does not round
  } else {
    out.shape = input.shape;
    out.valid = input.valid;
    int64_t rows = input.rows();
    Q8Rows q8;
    q8.q.resize(static_cast<size_t>(rows * columns));
    q8.d.resize(static_cast<size_t>(rows * blocks), std::numeric_limits<float>::quiet_NaN()); // outside the share
    for (int64_t t = 0; t < rows; ++t)
      for (int64_t b = input.valid.begin / kQ8Block; b < input.valid.end / kQ8Block; ++b) {
        int64_t at = t * columns + b * kQ8Block;
        q8.d[static_cast<size_t>(t * blocks + b)] = A::quantize(reals<Real>(input) + at, q8.q.data() + at);
      }
    out.data = std::move(q8);
  }
  return {};
}

template <class A> Problem KernelsOf<A>::linear(const LinearCall &call, std::vector<Tensor> &out) const {
  const Tensor &x = *call.input;
  bool q8 = A::quantizes && x.as<Q8Rows>();
  if (!q8 && !isReal<A>(x))
    return "input holds neither reals nor q8 activations";
  if (call.residual && !isReal<A>(*call.residual))
    return "residual holds no reals";
  // With experts a result's row is a choice: token · C + number, of the expert that the number names.
  int64_t columns = x.columns(), choices = call.experts ? call.experts->columns() : 1;
  const auto *chosen = call.experts ? call.experts->as<std::vector<int32_t>>() : nullptr;
  if (call.experts && !chosen)
    return "experts must be i32";
  int64_t rows = call.experts ? call.experts->rows() * choices : x.rows();
  if (x.rows() != (call.byChoice || !call.experts ? rows : rows / choices))
    return "input has " + std::to_string(x.rows()) + " rows for " + std::to_string(rows) + " of the result";
  for (size_t w = 0; w < call.weights.size(); ++w) {
    const auto *weight = call.weights[w]->template as<WeightRef>();
    if (!weight)
      return "weight " + std::to_string(w) + " is not the value of heddle.get";
    if (A::quantizes && weight->quantized != q8)
      return "weight @" + weight->name + (q8 ? " takes f32 activations, not q8" : " takes q8 activations, not f32");
  }
  // v = acc for every weight, then the epilogue on whole results.
  std::vector<Tensor> products;
  typename A::Row row;
  for (size_t w = 0; w < call.weights.size(); ++w) {
    const Tensor &weight = *call.weights[w];
    int64_t features = weight.shape[weight.shape.size() - 2], stacked = weight.rows() / features;
    if (!Columns{0, features}.contains(call.outputs[w]))
      return "share of weight " + std::to_string(w) + " lies outside its rows";
    Tensor product = makeReals<Real>({rows, features});
    std::vector<Real> bias;
    if (!call.biases.empty() && (bias = vectorOf(*call.biases[w], weight.rows())).empty())
      return "bias " + std::to_string(w) + " must be a float vector of " + std::to_string(weight.rows());
    if (x.whole()) {
      product.valid = call.outputs[w];
      for (int64_t expert = 0; expert < stacked; ++expert)
        for (int64_t n = product.valid.begin; n < product.valid.end; ++n) {
          bool fetched = false; // only where the expert is chosen
          for (int64_t r = 0; r < rows; ++r) {
            if (chosen && (*chosen)[static_cast<size_t>(r)] != expert)
              continue;
            if (!std::exchange(fetched, true))
              A::fetch(weights_, *weight.template as<WeightRef>(), expert * features + n, columns, row);
            Real &y = reals<Real>(product)[r * features + n];
            y = A::dot(row, x, call.experts && !call.byChoice ? r / choices : r);
            if (!bias.empty())
              y += bias[static_cast<size_t>(expert * features + n)];
          }
        }
    }
    products.push_back(std::move(product));
  }
  if (call.gate) {
    Tensor &gate = products[0];
    if (gate.valid != products[1].valid)
      return "gate and up have different shares";
    for (int64_t i = 0, n = gate.rows() * gate.columns(); i < n; ++i)
      reals<Real>(gate)[i] = A::activate(*call.gate, reals<Real>(gate)[i]) *
                             (call.up ? A::activate(*call.up, reals<Real>(products[1])[i]) : reals<Real>(products[1])[i]);
    products.pop_back();
  }
  if (call.activation)
    for (int64_t i = 0, n = products[0].rows() * products[0].columns(); i < n; ++i)
      reals<Real>(products[0])[i] = A::activate(*call.activation, reals<Real>(products[0])[i]);
  if (call.scale)
    for (int64_t i = 0, n = products[0].rows() * products[0].columns(); i < n; ++i)
      reals<Real>(products[0])[i] *= static_cast<Real>(*call.scale);
  if (call.residual) {
    Tensor &v = products[0];
    if (!call.residual->valid.contains(v.valid))
      v = makeReals<Real>(v.shape);
    for (int64_t i = 0, n = v.rows() * v.columns(); i < n; ++i)
      reals<Real>(v)[i] = reals<Real>(*call.residual)[i] + reals<Real>(v)[i];
  }
  out = std::move(products);
  if (call.q8Result)
    for (Tensor &result : out) {
      Tensor real = std::move(result);
      if (Problem problem = quantize(real, result); !problem.empty())
        return problem;
    }
  return {};
}

template <class A> Problem KernelsOf<A>::gather(const std::vector<TensorPtr> &parts, Tensor &out) const {
  const Tensor &first = *parts.front();
  int64_t columns = first.columns(), rows = first.rows();
  out = first;
  out.valid = {};
  for (const TensorPtr &part : parts)
    if (part->shape != first.shape || part->data.index() != first.data.index())
      return "ranks bring tensors of different types";
  std::vector<bool> have(static_cast<size_t>(columns));
  for (const TensorPtr &part : parts)
    for (int64_t c = part->valid.begin; c < part->valid.end; ++c) {
      if (have[static_cast<size_t>(c)])
        continue;
      have[static_cast<size_t>(c)] = true;
      for (int64_t t = 0; t < rows; ++t) {
        if (const Real *from = reals<Real>(*part))
          reals<Real>(out)[t * columns + c] = from[t * columns + c];
        if (const auto *from = part->template as<Q8Rows>()) {
          auto &to = std::get<Q8Rows>(out.data);
          to.q[static_cast<size_t>(t * columns + c)] = from->q[static_cast<size_t>(t * columns + c)];
          auto block = static_cast<size_t>((t * columns + c) / kQ8Block);
          to.d[block] = from->d[block];
        }
      }
    }
  if (std::find(have.begin(), have.end(), false) == have.end())
    out.valid = {0, columns};
  return {};
}

template Problem KernelsOf<Exact>::embed(const Tensor &, const Tensor &, std::optional<float>, Tensor &) const;
template Problem KernelsOf<One>::embed(const Tensor &, const Tensor &, std::optional<float>, Tensor &) const;
template Problem KernelsOf<Exact>::quantize(const Tensor &, Tensor &) const;
template Problem KernelsOf<One>::quantize(const Tensor &, Tensor &) const;
template Problem KernelsOf<Exact>::linear(const LinearCall &, std::vector<Tensor> &) const;
template Problem KernelsOf<One>::linear(const LinearCall &, std::vector<Tensor> &) const;
template Problem KernelsOf<Exact>::gather(const std::vector<TensorPtr> &, Tensor &) const;
template Problem KernelsOf<One>::gather(const std::vector<TensorPtr> &, Tensor &) const;
