//===- Q6_K.cpp - super-blocks of 256 codes of 6 bits: d, then per 32 two scales of 16, nibbles, two bits more each ---===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static WeightBlock unpack(Emit &e, const PackedGroup &weights, Value block, Value sub) {
  Value at = e.add(block, e.mul(sub, e.index(416)));
  WeightBlock w;
  Value d = halves(e, weights, block, 0);
  w.scales = {e.mulf(d, byteLanes(e, weights, at, 32, true)), e.mulf(d, byteLanes(e, weights, at, 48, true))};
  w.quads = unpackNibbles(e, weights, at, 64);
  Type bytes = w.quads[0].getType();
  int64_t words = 2 * weights.lanes;
  for (int64_t half = 0; half < 2; ++half) {
    Value high = weights.rows(e, at, 320 + 64 * half, 4, e.b.getI16Type());
    for (int64_t i = 0; i < 4; ++i) { // bits 2i, 2i+1 belong in bits 4, 5
      auto by = [&](int64_t n) { return e.splat(e.b.create<arith::ConstantOp>(e.loc, e.b.getI16IntegerAttr(n)), words); };
      Value moved = i < 2 ? e.b.create<arith::ShLIOp>(e.loc, high, by(4 - 2 * i)).getResult()
                          : e.b.create<arith::ShRUIOp>(e.loc, high, by(2 * i - 4)).getResult();
      Value mask = e.splat(e.b.create<arith::ConstantOp>(e.loc, e.b.getI16IntegerAttr(0x3030)), words);
      moved = e.b.create<vector::BitCastOp>(e.loc, bytes, e.b.create<arith::AndIOp>(e.loc, moved, mask));
      w.quads[4 * half + i] = e.b.create<arith::OrIOp>(e.loc, w.quads[4 * half + i], moved);
    }
  }
  return w;
}

const FormatKernel heddle::kQ6_K{.codeMax = 63, .codeOffset = 32, .scales = 2, .unpack = unpack};
