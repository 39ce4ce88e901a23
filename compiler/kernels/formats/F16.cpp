//===- F16.cpp - 16-bit floats: 16 rows of one k are neighbours ------------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static Value widen(Emit &e, const PackedGroup &weights, Value at) { return halves(e, weights, at, 0); }

const FormatKernel heddle::kF16{.widen = widen};
