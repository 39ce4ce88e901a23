//===- Q4_0.cpp - blocks of 32 codes of 4 bits: d nibbles ------------------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static WeightBlock unpack(Emit &e, const PackedGroup &weights, Value block, Value) {
  return {.scales = {halves(e, weights, block, 0)}, .minima = {}, .quads = unpackNibbles(e, weights, block, 32)};
}

const FormatKernel heddle::kQ4_0{.codeMax = 15, .codeOffset = 8, .unpack = unpack};
