//===- KernelsImpl.h - Kernels over one arithmetic, internal --------------------------------------------------------===//
#pragma once
#include "ir/reference/Kernels.h"

namespace heddle::reference {

template <class A> class KernelsOf final : public Kernels {
public:
  using Real = typename A::Real;
  explicit KernelsOf(const WeightSource &weights) : weights_(weights) {}

  Problem embed(const Tensor &ids, const Tensor &table, std::optional<float> scale, Tensor &out) const override;
  Problem selectRows(const Tensor &input, const Tensor &rows, Tensor &out) const override;
  Problem meanRows(const Tensor &input, const Tensor &first, const Tensor &last, Tensor &out) const override;
  Problem normalize(const Tensor &input, float eps, Tensor &out) const override;
  Problem add(const Tensor &a, const Tensor &b, Tensor &out) const override;
  Problem mul(const Tensor &a, const Tensor &b, Tensor &out) const override;
  Problem activate(Function f, const Tensor &input, Tensor &out) const override;
  Problem scale(float by, const Tensor &input, Tensor &out) const override;
  Problem linear(const LinearCall &call, std::vector<Tensor> &out) const override;
  Problem choose(const Tensor &scores, int64_t choices, bool overAll, std::vector<Tensor> &out) const override;
  Problem sumExperts(const Tensor &input, const Tensor &weights, const Tensor *residual, bool q8Result,
                     Tensor &out) const override;
  Problem quantize(const Tensor &input, Tensor &out) const override;
  Problem norm(const NormCall &call, Tensor &out) const override;
  Problem rope(const Tensor &input, const Tensor &positions, const Rope &rope, bool interleaved, int64_t heads,
               Tensor &out) const override;
  Problem store(const StoreCall &call) const override;
  Problem attention(const AttentionCall &call, std::vector<Tensor> &out) const override;
  Problem recurrence(const RecurrenceCall &call, Tensor &out) const override;
  Problem gather(const std::vector<TensorPtr> &parts, Tensor &out) const override;

private:
  /// The elements of a norm's weight, a vector. Empty when `t` is neither a weight nor reals of `n` elements.
  std::vector<Real> vectorOf(const Tensor &t, int64_t n) const;
  Problem prologueWeight(const HeadPrologue &p, int64_t headDim, std::vector<Real> &norm) const;
  void applyPrologue(const HeadPrologue &p, const std::vector<Real> &norm, int64_t headDim, int64_t position, Real *head) const;
  const WeightSource &weights_;
};

/// True when `t` holds reals of this arithmetic.
template <class A> bool isReal(const Tensor &t) { return t.as<std::vector<typename A::Real>>() != nullptr; }

} // namespace heddle::reference
