//===- Q4Q5.cpp - blocks of 32 with 4 or 5 bits: d [m] nibbles [high] ------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

namespace {
template <bool minimum, bool five> WeightBlock unpack(Emit &e, const PackedGroup &weights, Value block, Value) {
  constexpr int64_t nibbles = minimum ? 64 : 32;
  WeightBlock w;
  w.scales = {halves(e, weights, block, 0)};
  if (minimum)
    w.minima = halves(e, weights, block, 32);
  w.quads = unpackNibbles(e, weights, block, nibbles);
  if (five)
    addFifthBits(e, weights, block, nibbles + 256, w.quads);
  return w;
}
} // namespace

const FormatKernel heddle::kQ4_0{"q4_0", 15, 8, false, false, unpack<false, false>};
const FormatKernel heddle::kQ4_1{"q4_1", 15, 0, false, true, unpack<true, false>};
const FormatKernel heddle::kQ5_0{"q5_0", 31, 16, false, false, unpack<false, true>};
const FormatKernel heddle::kQ5_1{"q5_1", 31, 0, false, true, unpack<true, true>};
