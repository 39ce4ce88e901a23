//===- Q5_1.cpp - blocks of 32 codes of 5 bits: d m nibbles high -----------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static WeightBlock unpack(Emit &e, const PackedGroup &weights, Value block, Value) {
  WeightBlock w{.scales = {halves(e, weights, block, 0)},
                .minima = halves(e, weights, block, 32),
                .quads = unpackNibbles(e, weights, block, 64)};
  addFifthBits(e, weights, block, 64 + 256, w.quads);
  return w;
}

const FormatKernel heddle::kQ5_1{.codeMax = 31, .minima = true, .unpack = unpack};
