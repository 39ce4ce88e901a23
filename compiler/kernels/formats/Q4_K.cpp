//===- Q4_K.cpp - super-blocks of 256 codes of 4 bits: d dmin, then per 32 sc mn nibbles -----------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static WeightBlock unpack(Emit &e, const PackedGroup &weights, Value block, Value sub) {
  Value at = e.add(block, e.mul(sub, e.index(288)));
  WeightBlock w = scalesAndMinima(e, weights, block, at);
  w.quads = unpackNibbles(e, weights, at, 96);
  return w;
}

const FormatKernel heddle::kQ4_K{.codeMax = 15, .minima = true, .unpack = unpack};
