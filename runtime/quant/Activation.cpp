//===- Activation.cpp - activations quantised per 32 features (q8) ----------------------------------------------------===//
#include "runtime/quant/Activation.h"
#include <algorithm>
#include <bit>
#include <cmath>

namespace heddle {

Q8Block quantizeBlock(const float *x) {
  int32_t largest = 0; // magnitudes order like their bits, and a NaN's are the largest
  for (int i = 0; i < 32; ++i)
    largest = std::max(largest, std::bit_cast<int32_t>(std::fabs(x[i])));
  float amax = std::bit_cast<float>(largest);
  Q8Block block{};
  if (amax < 0x1p-100f)
    return block;
  float id = 127.0f / amax;
  block.d = amax / 127.0f;
  int sums[2] = {0, 0};
  for (int i = 0; i < 32; ++i) {
    float q = std::nearbyint(x[i] * id);
    int code = q > 127 ? 127 : q < -127 ? -127 : q == q ? static_cast<int>(q) : 0; // NaN: q = 0
    block.q[i] = static_cast<int8_t>(code);
    sums[i / 16] += code;
  }
  block.s0 = static_cast<int16_t>(sums[0]);
  block.s1 = static_cast<int16_t>(sums[1]);
  return block;
}

} // namespace heddle
