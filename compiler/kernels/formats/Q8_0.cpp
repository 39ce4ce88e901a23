//===- Q8_0.cpp - blocks of 32 signed bytes: d codes -----------------------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static WeightBlock unpack(Emit &e, const PackedGroup &weights, Value block, Value) {
  WeightBlock w{.scales = {halves(e, weights, block, 0)}, .minima = {}, .quads = {}};
  for (int64_t q = 0; q < 8; ++q)
    w.quads.push_back(weights.rows(e, block, 32 + 64 * q, 4, e.b.getI8Type()));
  return w;
}

const FormatKernel heddle::kQ8_0{.codeMax = 255, .signedCodes = true, .unpack = unpack};
