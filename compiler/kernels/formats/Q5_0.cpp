//===- Q5_0.cpp - blocks of 32 codes of 5 bits: d nibbles high -------------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static WeightBlock unpack(Emit &e, const PackedGroup &weights, Value block, Value) {
  WeightBlock w{.scales = {halves(e, weights, block, 0)}, .minima = {}, .quads = unpackNibbles(e, weights, block, 32)};
  addFifthBits(e, weights, block, 32 + 256, w.quads);
  return w;
}

const FormatKernel heddle::kQ5_0{.codeMax = 31, .codeOffset = 16, .unpack = unpack};
