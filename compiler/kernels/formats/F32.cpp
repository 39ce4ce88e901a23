//===- F32.cpp - 32-bit floats: 16 rows of one k are neighbours ------------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static Value widen(Emit &e, const PackedGroup &weights, Value at) { return weights.rows(e, at, 0, 4, e.b.getF32Type()); }

const FormatKernel heddle::kF32{.widen = widen};
