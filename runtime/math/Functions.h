//===- Functions.h - the only written exp, tanh, erf, log, sin, cos ------------------------------------------------===//
//
// The system's one arithmetic needs transcendental functions whose bits do not depend on a C library. exp, tanh and erf are
// templates over an "operations" policy: `ScalarOps` computes on floats here, and the compiler instantiates them with a
// policy that emits IR, so both follow the same formula, operation by operation. Header only, no dependency.
//
// Polynomials: S. Moshier, Cephes Mathematical Library (expf, tanhf, sin, cos); erf's were fitted for this file.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace heddle::math {

/// One f32 operation each, as C++ floats. A policy over another value type has the same members.
struct ScalarOps {
  using Value = float;
  Value constant(float x) const { return x; }
  Value add(Value a, Value b) const { return a + b; }
  Value sub(Value a, Value b) const { return a - b; }
  Value mul(Value a, Value b) const { return a * b; }
  Value div(Value a, Value b) const { return a / b; }
  Value fma(Value a, Value b, Value c) const { return std::fma(a, b, c); }
  Value roundEven(Value a) const { return std::nearbyint(a); }
  Value abs(Value a) const { return std::fabs(a); }
  /// a < b ? x : y; false when either of a, b is NaN.
  Value selectLess(Value a, Value b, Value x, Value y) const { return a < b ? x : y; }
  /// 2^n for an integral n in [-126, 127]; any value, without trapping, for other inputs.
  Value exp2Integral(Value n) const {
    return std::bit_cast<float>(std::bit_cast<uint32_t>(n + 12583039.0f) << 23); // 1.5·2^23 + 127
  }
};

/// e^x for x up to 88.37626, and for NaN, with the bits of exp(x), which saturates there; of a larger x comes any number.
template <class Ops> typename Ops::Value expUnsaturated(const Ops &o, typename Ops::Value x) {
  using V = typename Ops::Value;
  V n = o.roundEven(o.mul(x, o.constant(1.44269504f)));
  V r = o.fma(n, o.constant(-0.693359375f), x); // ln 2 in two parts: r is exact to about 2^-40
  r = o.fma(n, o.constant(2.12194440e-4f), r);
  V p = o.constant(1.9875691500e-4f);
  p = o.fma(p, r, o.constant(1.3981999507e-3f));
  p = o.fma(p, r, o.constant(8.3334519073e-3f));
  p = o.fma(p, r, o.constant(4.1665795894e-2f));
  p = o.fma(p, r, o.constant(1.6666665459e-1f));
  p = o.fma(p, r, o.constant(5.0000001201e-1f));
  p = o.fma(p, o.mul(r, r), r);
  V e = o.mul(o.add(p, o.constant(1.0f)), o.exp2Integral(n));
  return o.selectLess(x, o.constant(-87.33654f), o.constant(0.0f), e); // whatever e became of such an x
}

/// e^x, relative error below 2e-7; +0 below -87.33 (and for -inf), saturates at e^88.37, NaN stays NaN.
template <class Ops> typename Ops::Value exp(const Ops &o, typename Ops::Value x) {
  typename Ops::Value highest = o.constant(88.37626f);
  return expUnsaturated(o, o.selectLess(highest, x, highest, x));
}

/// tanh x, relative error below 3e-7.
template <class Ops> typename Ops::Value tanh(const Ops &o, typename Ops::Value x) {
  using V = typename Ops::Value;
  V a = o.abs(x), one = o.constant(1.0f), z = o.mul(x, x);
  V p = o.constant(-5.70498872745e-3f);
  p = o.fma(p, z, o.constant(2.06390887954e-2f));
  p = o.fma(p, z, o.constant(-5.37397155531e-2f));
  p = o.fma(p, z, o.constant(1.33314422036e-1f));
  p = o.fma(p, z, o.constant(-3.33332819422e-1f));
  V small = o.fma(o.mul(p, z), x, x);
  V large = o.sub(one, o.div(o.constant(2.0f), o.add(exp(o, o.add(a, a)), one)));
  V zero = o.constant(0.0f);
  large = o.selectLess(x, zero, o.sub(zero, large), large);
  return o.selectLess(a, o.constant(0.625f), small, large);
}

/// erf x, relative error below 4e-7, and ±1 beyond ±3.9: x · P(x²) / Q(x²), whose coefficients make the largest relative error on
/// [0, 3.9] smallest (least squares, reweighted after C. L. Lawson).
template <class Ops> typename Ops::Value erf(const Ops &o, typename Ops::Value x) {
  using V = typename Ops::Value;
  V a = o.abs(x), z = o.mul(x, x), one = o.constant(1.0f), zero = o.constant(0.0f);
  auto polynomial = [&](std::initializer_list<float> coefficients) { // from the highest power down
    V p = o.constant(*coefficients.begin());
    for (const float *c = coefficients.begin() + 1; c != coefficients.end(); ++c)
      p = o.fma(p, z, o.constant(*c));
    return p;
  };
  V p = polynomial(
      {2.014830555e-8f, -1.963196056e-6f, 1.405963419e-4f, 3.632165253e-3f, 5.034454007e-2f, 1.981793744e-1f, 1.128379112f});
  V q = polynomial({9.405524282e-4f, 1.42076205e-2f, 1.142796992e-1f, 5.089636435e-1f, 1.0f});
  V r = o.div(o.mul(a, p), q);
  r = o.selectLess(one, r, one, r);
  r = o.selectLess(o.constant(3.9f), a, one, r);
  return o.selectLess(x, zero, o.sub(zero, r), r);
}

/// GELU (Hendrycks & Gimpel, arXiv:1606.08415): x · Φ(x).
template <class Ops> typename Ops::Value gelu(const Ops &o, typename Ops::Value x) {
  return o.mul(o.mul(o.constant(0.5f), x), o.add(o.constant(1.0f), erf(o, o.mul(o.constant(0.70710678f), x))));
}

/// The larger of x and 0; NaN stays NaN.
template <class Ops> typename Ops::Value relu(const Ops &o, typename Ops::Value x) {
  typename Ops::Value zero = o.constant(0.0f);
  return o.selectLess(x, zero, zero, x);
}

/// x / (1 + e^-x).
template <class Ops> typename Ops::Value silu(const Ops &o, typename Ops::Value x) {
  return o.div(x, o.add(o.constant(1.0f), exp(o, o.sub(o.constant(0.0f), x))));
}

/// GELU by its tanh approximation (Hendrycks & Gimpel, arXiv:1606.08415), as Gemma uses it.
template <class Ops> typename Ops::Value geluTanh(const Ops &o, typename Ops::Value x) {
  auto inner = o.fma(o.mul(o.mul(o.constant(0.044715f), x), x), x, x);
  auto t = tanh(o, o.mul(o.constant(0.7978845608f), inner));
  return o.mul(o.mul(o.constant(0.5f), x), o.add(o.constant(1.0f), t));
}

/// The factors of gpt-oss's gate (OpenAI, arXiv:2508.10925, as its authors' code has them): x at most 7, times its logistic
/// function of 1.702 x; and x within ±7, plus 1.
template <class Ops> typename Ops::Value ossGate(const Ops &o, typename Ops::Value x) {
  typename Ops::Value limit = o.constant(7.0f);
  x = o.selectLess(limit, x, limit, x);
  auto steeper = o.mul(o.constant(1.702f), x);
  return o.div(x, o.add(o.constant(1.0f), exp(o, o.sub(o.constant(0.0f), steeper))));
}
template <class Ops> typename Ops::Value ossUp(const Ops &o, typename Ops::Value x) {
  typename Ops::Value high = o.constant(7.0f), low = o.constant(-7.0f);
  x = o.selectLess(high, x, high, x);
  return o.add(o.selectLess(x, low, low, x), o.constant(1.0f));
}

inline float exp(float x) { return exp(ScalarOps{}, x); }
inline float tanh(float x) { return tanh(ScalarOps{}, x); }
inline float silu(float x) { return silu(ScalarOps{}, x); }
inline float erf(float x) { return erf(ScalarOps{}, x); }
inline float gelu(float x) { return gelu(ScalarOps{}, x); }
inline float relu(float x) { return relu(ScalarOps{}, x); }
inline float geluTanh(float x) { return geluTanh(ScalarOps{}, x); }
inline float ossGate(float x) { return ossGate(ScalarOps{}, x); }
inline float ossUp(float x) { return ossUp(ScalarOps{}, x); }

// ---- f64, scalar only: RoPE tables and log-probabilities. Errors stay near 1e-15. ----

/// Natural logarithm of a finite x > 0; -inf at 0, NaN below.
inline double log(double x) {
  if (!(x > 0))
    return x == 0 ? -INFINITY : NAN;
  if (std::isinf(x))
    return x;
  int e;
  double m = std::frexp(x, &e); // exact
  if (m < 0.70710678118654752440) {
    m *= 2;
    --e;
  } // m in [√½, √2)
  double s = (m - 1) / (m + 1), z = s * s, p = 0;
  for (int k = 23; k >= 3; k -= 2)
    p = std::fma(p, z, 1.0 / k); // atanh series
  double l = std::fma(2 * s * z, p, 2 * s);
  return std::fma(e, 6.93147180369123816490e-01, std::fma(e, 1.90821492927058770002e-10, l));
}

/// e^x for |x| < 700.
inline double exp(double x) {
  double n = std::nearbyint(x * 1.44269504088896340736);
  double r = std::fma(n, -6.93147180369123816490e-01, x);
  r = std::fma(n, -1.90821492927058770002e-10, r);
  double p = 1.0 / 6227020800.0, f = 6227020800.0;
  for (int k = 13; k >= 1; --k) {
    f /= k;
    p = std::fma(p, r, 1.0 / f);
  } // Taylor, degree 13
  return std::ldexp(p, static_cast<int>(n));
}

/// sin and cos of x, for 0 <= |x| < 2^30 (RoPE angles).
inline void sincos(double x, double &sine, double &cosine) {
  double n = std::nearbyint(x * 0.63661977236758134308);
  double r = std::fma(n, -1.57079632679489655800, x); // π/2 in three parts
  r = std::fma(n, -6.12323399573676603587e-17, r);
  r = std::fma(n, 1.49738490485916983294e-33, r);
  double z = r * r;
  double s = 1.58962301576546568060e-10;
  for (double c : {-2.50507477628578072866e-8, 2.75573136213857245213e-6, -1.98412698295895385996e-4, 8.33333333332211858878e-3,
                   -1.66666666666666307295e-1})
    s = std::fma(s, z, c);
  s = std::fma(s * z, r, r);
  double c = -1.13585365213876817300e-11;
  for (double k : {2.08757008419747316778e-9, -2.75573141792967388112e-7, 2.48015872888517045348e-5, -1.38888888888730564116e-3,
                   4.16666666666665929218e-2})
    c = std::fma(c, z, k);
  c = std::fma(c * z, z, std::fma(-0.5, z, 1.0));
  int64_t quadrant = static_cast<int64_t>(n) & 3;
  sine = quadrant == 0 ? s : quadrant == 1 ? c : quadrant == 2 ? -s : -c;
  cosine = quadrant == 0 ? c : quadrant == 1 ? -s : quadrant == 2 ? -c : s;
}

} // namespace heddle::math
