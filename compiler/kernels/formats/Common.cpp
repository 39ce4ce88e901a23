//===- Common.cpp - pieces that several formats unpack with ----------------------------------------------------------===//
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;

static int64_t sizeOf(Value vector) { return cast<VectorType>(vector.getType()).getNumElements(); }
static Value bitAnd(Emit &e, Value x, int64_t mask) {
  return e.b.create<arith::AndIOp>(e.loc, x,
                                   e.splat(e.b.create<arith::ConstantOp>(e.loc, e.b.getI8IntegerAttr(mask)), sizeOf(x)));
}

// x86 shifts no bytes: 16-bit lanes are shifted and what crossed a byte is masked off by the caller.
static Value shift16(Emit &e, Value bytes, int64_t left) {
  int64_t n = sizeOf(bytes) / 2;
  Value words = e.b.create<vector::BitCastOp>(e.loc, e.vectorType(n, e.b.getI16Type()), bytes);
  Value by = e.splat(e.b.create<arith::ConstantOp>(e.loc, e.b.getI16IntegerAttr(std::abs(left))), n);
  words = left >= 0 ? e.b.create<arith::ShLIOp>(e.loc, words, by).getResult()
                    : e.b.create<arith::ShRUIOp>(e.loc, words, by).getResult();
  return e.b.create<vector::BitCastOp>(e.loc, bytes.getType(), words);
}

SmallVector<Value, 8> heddle::unpackNibbles(Emit &e, const PackedGroup &weights, Value offset, int64_t at) {
  SmallVector<Value, 8> quads;
  for (int64_t j = 0; j < 4; ++j) {
    Value bytes = weights.rows(e, offset, at + 64 * j, 4, e.b.getI8Type());
    quads.push_back(bitAnd(e, bytes, 0x0f));
    quads.push_back(bitAnd(e, shift16(e, bytes, -4), 0x0f));
  }
  return quads;
}

void heddle::addFifthBits(Emit &e, const PackedGroup &weights, Value offset, int64_t at, SmallVector<Value, 8> &quads) {
  Value high = weights.rows(e, offset, at, 4, e.b.getI8Type());
  for (int64_t q = 0; q < 8; ++q) // bit q belongs in bit 4
    quads[q] = e.b.create<arith::OrIOp>(e.loc, quads[q], bitAnd(e, q == 4 ? high : shift16(e, high, 4 - q), 0x10));
}

Value heddle::halves(Emit &e, const PackedGroup &weights, Value offset, int64_t at) {
  return e.b.create<arith::ExtFOp>(e.loc, weights.floats(e), weights.rows(e, offset, at, 2, e.b.getF16Type()));
}

Value heddle::byteLanes(Emit &e, const PackedGroup &weights, Value offset, int64_t at, bool isSigned) {
  Value bytes = weights.rows(e, offset, at, 1, e.b.getI8Type());
  Type wide = e.vectorType(weights.lanes, e.b.getI32Type());
  Value ints = isSigned ? e.b.create<arith::ExtSIOp>(e.loc, wide, bytes).getResult()
                        : e.b.create<arith::ExtUIOp>(e.loc, wide, bytes).getResult();
  return e.b.create<arith::SIToFPOp>(e.loc, weights.floats(e), ints);
}

WeightBlock heddle::scalesAndMinima(Emit &e, const PackedGroup &weights, Value block, Value at) {
  Value scales = e.mulf(halves(e, weights, block, 0), byteLanes(e, weights, at, 64, false));
  Value minima = e.negf(e.mulf(halves(e, weights, block, 32), byteLanes(e, weights, at, 80, false)));
  return {.scales = {scales}, .minima = minima, .quads = {}};
}

const FormatKernel &heddle::formatKernel(llvm::StringRef name) {
  static const FormatKernel *const kernels[] = {
#define HEDDLE_FORMAT(name) &k##name,
#include "runtime/quant/Formats.inc"
  };
  if (std::optional<Format> format = formatByName({name.data(), name.size()}))
    return *kernels[static_cast<int>(*format)];
  llvm::report_fatal_error("no kernel for weight format " + name);
}
