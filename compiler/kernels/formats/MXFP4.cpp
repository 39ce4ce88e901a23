//===- MXFP4.cpp - blocks of 32 floats of 4 bits: exponents nibbles --------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

/// 2^(e − 128) of 16 exponents: the bits of a normal number are (e − 1)·2^23, those of the two denormal ones (e + 1)·2^21, and
/// the right ones are always the larger of both.
static Value powers(Emit &e, const PackedGroup &weights, Value block) {
  Type ints = e.vectorType(weights.lanes, e.b.getI32Type());
  Value exponent = e.b.create<arith::ExtUIOp>(e.loc, ints, weights.rows(e, block, 0, 1, e.b.getI8Type()));
  auto shifted = [&](int32_t plus, int32_t left) {
    Value sum = e.b.create<arith::AddIOp>(e.loc, exponent, e.splat(e.i32(plus), weights.lanes));
    return e.b.create<arith::ShLIOp>(e.loc, sum, e.splat(e.i32(left), weights.lanes));
  };
  return e.b.create<arith::BitcastOp>(e.loc, weights.floats(e),
                                      e.b.create<arith::MaxSIOp>(e.loc, shifted(-1, 23), shifted(1, 21)));
}

static WeightBlock unpack(Emit &e, const PackedGroup &weights, Value block, Value) {
  static constexpr int8_t codes[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0}; // + 12
  WeightBlock w{.scales = {powers(e, weights, block)}, .minima = {}, .quads = unpackNibbles(e, weights, block, 16)};
  for (Value &quad : w.quads)
    quad = e.b.create<ir::LookupOp>(e.loc, quad, e.b.getDenseI8ArrayAttr(codes));
  return w;
}

const FormatKernel heddle::kMXFP4{.codeMax = 24, .codeOffset = 12, .unpack = unpack};
