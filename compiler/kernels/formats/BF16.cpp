//===- BF16.cpp - the upper halves of 32-bit floats: 16 rows of one k are neighbours ---------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static Value widen(Emit &e, const PackedGroup &weights, Value at) {
  Value upper = e.b.create<arith::ExtUIOp>(e.loc, e.vectorType(weights.lanes, e.b.getI32Type()),
                                           weights.rows(e, at, 0, 2, e.b.getI16Type()));
  return e.b.create<arith::BitcastOp>(e.loc, weights.floats(e),
                                      e.b.create<arith::ShLIOp>(e.loc, upper, e.splat(e.i32(16), weights.lanes)));
}

const FormatKernel heddle::kBF16{.widen = widen};
