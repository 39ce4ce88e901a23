//===- Q4_1.cpp - blocks of 32 codes of 4 bits: d m nibbles ----------------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static WeightBlock unpack(Emit &e, const PackedGroup &weights, Value block, Value) {
  return {.scales = {halves(e, weights, block, 0)},
          .minima = halves(e, weights, block, 32),
          .quads = unpackNibbles(e, weights, block, 64)};
}

const FormatKernel heddle::kQ4_1{.codeMax = 15, .minima = true, .unpack = unpack};
