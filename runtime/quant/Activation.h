//===- Activation.h - activations quantised per 32 features (q8) ----------------------------------------------------===//
#pragma once
#include <cstdint>

namespace heddle {

/// 32 features of one token, as compiled code stores them (docs/arithmetic.md). A row of K features is K / 32 of these.
struct Q8Block {
  int8_t q[32];
  float d;        // scale: x ≈ q · d
  int16_t s0, s1; // exact sums of q[0..15] and q[16..31]
};
static_assert(sizeof(Q8Block) == 40);

/// Quantises x [32] by the one arithmetic.
Q8Block quantizeBlock(const float *x);

} // namespace heddle
