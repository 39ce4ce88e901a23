//===- Q5_K.cpp - super-blocks of 256 codes of 5 bits: d dmin, then per 32 sc mn nibbles high ------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static WeightBlock unpack(Emit &e, const PackedGroup &weights, Value block, Value sub) {
  Value at = e.add(block, e.mul(sub, e.index(352)));
  WeightBlock w = scalesAndMinima(e, weights, block, at);
  w.quads = unpackNibbles(e, weights, at, 96);
  addFifthBits(e, weights, at, 96 + 256, w.quads);
  return w;
}

const FormatKernel heddle::kQ5_K{.codeMax = 31, .minima = true, .unpack = unpack};
