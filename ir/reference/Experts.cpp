//===- Experts.cpp - choosing experts, and the sum of what they make -------------------------------------------------===//
#include "ir/reference/KernelsImpl.h"
#include <algorithm>
#include <limits>

using namespace heddle::reference;

/// The numbers of the `choices` largest scores, increasing; of equal ones the lower number, and where only NaN is left the first.
template <class Real> static std::vector<int32_t> best(const Real *scores, int64_t experts, int64_t choices) {
  std::vector<bool> taken(static_cast<size_t>(experts));
  for (int64_t c = 0; c < choices; ++c) {
    int64_t best = -1;
    for (int64_t x = 0; x < experts; ++x)
      if (!taken[static_cast<size_t>(x)] && (best < 0 || scores[x] > scores[best]))
        best = x;
    taken[static_cast<size_t>(best)] = true;
  }
  std::vector<int32_t> chosen;
  for (int64_t x = 0; x < experts; ++x)
    if (taken[static_cast<size_t>(x)])
      chosen.push_back(static_cast<int32_t>(x));
  return chosen;
}

template <class A>
Problem KernelsOf<A>::choose(const Tensor &scores, int64_t choices, bool overAll, std::vector<Tensor> &out) const {
  if (!isReal<A>(scores))
    return "scores must be reals";
  if (!scores.whole())
    return "scores are not whole";
  int64_t tokens = scores.rows(), experts = scores.columns();
  Tensor weights = makeReals<Real>({tokens, choices}), numbers;
  weights.valid = {0, choices};
  std::vector<int32_t> all;
  for (int64_t t = 0; t < tokens; ++t) {
    const Real *row = reals<Real>(scores) + t * experts;
    std::vector<int32_t> chosen = best(row, experts, choices);
    std::vector<Real> over;
    if (overAll)
      over.assign(row, row + experts);
    else
      for (int32_t x : chosen)
        over.push_back(row[x]);
    Real most = -std::numeric_limits<Real>::infinity();
    for (Real s : over)
      most = s > most ? s : most;
    for (Real &s : over)
      s = A::exponential(s - most);
    Real sum = A::sum(over);
    for (int64_t c = 0; c < choices; ++c)
      reals<Real>(weights)[t * choices + c] = A::exponential(row[chosen[static_cast<size_t>(c)]] - most) / sum;
    all.insert(all.end(), chosen.begin(), chosen.end());
  }
  numbers.shape = {tokens, choices};
  numbers.valid = {0, choices};
  numbers.data = std::move(all);
  out.push_back(std::move(weights));
  out.push_back(std::move(numbers));
  return {};
}

template <class A>
Problem KernelsOf<A>::sumExperts(const Tensor &input, const Tensor &weights, const Tensor *residual, bool q8Result,
                                 Tensor &out) const {
  if (!isReal<A>(input) || !isReal<A>(weights) || (residual && !isReal<A>(*residual)))
    return "operands must hold reals";
  int64_t tokens = weights.rows(), choices = weights.columns(), features = input.columns();
  if (input.rows() != tokens * choices || (residual && residual->shape != std::vector<int64_t>{tokens, features}))
    return "operands differ in rows";
  Tensor sums = makeReals<Real>({tokens, features});
  if (input.whole() && weights.whole() && (!residual || residual->whole())) {
    sums.valid = {0, features};
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t n = 0; n < features; ++n) {
        Real sum = 0;
        for (int64_t c = 0; c < choices; ++c)
          sum = A::multiplyAdd(reals<Real>(weights)[t * choices + c], reals<Real>(input)[(t * choices + c) * features + n], sum);
        reals<Real>(sums)[t * features + n] = residual ? reals<Real>(*residual)[t * features + n] + sum : sum;
      }
  }
  if (q8Result)
    return quantize(sums, out);
  out = std::move(sums);
  return {};
}

namespace heddle::reference {
#define HEDDLE_EXPERTS_OF(A)                                                                                                     \
  template Problem KernelsOf<A>::choose(const Tensor &, int64_t, bool, std::vector<Tensor> &) const;                             \
  template Problem KernelsOf<A>::sumExperts(const Tensor &, const Tensor &, const Tensor *, bool, Tensor &) const;
HEDDLE_EXPERTS_OF(Exact)
HEDDLE_EXPERTS_OF(One)
} // namespace heddle::reference
