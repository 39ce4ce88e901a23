//===- QuantizedBlock.cpp - one 32-block of a quantised product in registers ----------------------------------------===//
#include "compiler/lowering/QuantizedBlock.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

SmallVector<Value, 16> heddle::toPairs(Emit &e, ArrayRef<Value> quads) {
  SmallVector<Value, 16> pairs;
  for (Value quad : quads) {
    int64_t n = cast<VectorType>(quad.getType()).getNumElements() / 2;
    Value words = e.b.create<vector::BitCastOp>(e.loc, e.vectorType(n, e.b.getI16Type()), quad);
    Value eight = e.splat(e.b.create<arith::ConstantOp>(e.loc, e.b.getI16IntegerAttr(8)), n);
    pairs.push_back(e.b.create<arith::ShRSIOp>(e.loc, e.b.create<arith::ShLIOp>(e.loc, words, eight), eight));
    pairs.push_back(e.b.create<arith::ShRSIOp>(e.loc, words, eight));
  }
  return pairs;
}

SmallVector<Value *> ActivationBlock::vectors() {
  SmallVector<Value *> all;
  for (Value &part : q)
    all.push_back(&part);
  all.push_back(&d);
  for (Value &start : starts)
    all.push_back(&start);
  if (scaledSum)
    all.push_back(&scaledSum);
  return all;
}

SmallVector<Value, 2> heddle::loadSums(Emit &e, const FormatKernel &format, Value input, Value token, Value block) {
  Value both = e.loadBytes(input, {token, block, e.index(36)}, 4, e.b.getI16Type());
  auto half = [&](int64_t i) -> Value { return e.b.create<arith::ExtSIOp>(e.loc, e.b.getI32Type(), e.extract(both, i)); };
  if (format.scales == 2)
    return {half(0), half(1)};
  return {e.b.create<arith::AddIOp>(e.loc, half(0), half(1))};
}

ActivationBlock heddle::loadActivations(Emit &e, const FormatKernel &format, Value input, Value token, Value block,
                                        int64_t lanes) {
  ActivationBlock a;
  for (int64_t i = 0; i < 8; ++i) {
    Value four = e.extract(e.loadBytes(input, {token, block, e.index(4 * i)}, 4, e.b.getI32Type()), 0);
    a.q.push_back(e.b.create<vector::BitCastOp>(e.loc, e.vectorType(4 * lanes, e.b.getI8Type()), e.splat(four, lanes)));
  }
  Value d = e.extract(e.loadBytes(input, {token, block, e.index(32)}, 4, e.b.getF32Type()), 0);
  a.d = e.splat(d, lanes);
  a.sums = loadSums(e, format, input, token, block);
  if (format.codeOffset)
    for (Value sum : a.sums)
      a.starts.push_back(e.splat(e.b.create<arith::MulIOp>(e.loc, sum, e.i32(-format.codeOffset)), lanes));
  if (format.minima) // of formats with one scale a block
    a.scaledSum = e.splat(e.mulf(d, e.b.create<arith::SIToFPOp>(e.loc, e.b.getF32Type(), a.sums[0])), lanes);
  return a;
}

Value heddle::dotProduct(Emit &e, const FormatKernel &format, Value start, Value sum, ValueRange codes, ValueRange q) {
  return e.b.create<DotOp>(e.loc, start.getType(), start, sum, codes, q, e.b.getI64IntegerAttr(format.codeMax),
                           format.signedCodes ? e.b.getUnitAttr() : UnitAttr());
}

Value heddle::addBlock(Emit &e, const FormatKernel &format, const WeightBlock &w, const ActivationBlock &a, ValueRange dots,
                       Value acc) {
  for (auto [dot, scale] : llvm::zip(dots, w.scales))
    acc = e.fma(e.b.create<arith::SIToFPOp>(e.loc, acc.getType(), dot), e.mulf(scale, a.d), acc);
  return format.minima ? e.fma(w.minima, a.scaledSum, acc) : acc;
}

Value heddle::multiplyBlock(Emit &e, const FormatKernel &format, const WeightBlock &w, const ActivationBlock &a, Value acc) {
  int64_t quads = 8 / format.scales;
  Value none = e.splat(e.i32(0), cast<VectorType>(acc.getType()).getNumElements());
  SmallVector<Value> dots;
  for (int64_t part = 0; part < format.scales; ++part)
    dots.push_back(dotProduct(e, format, a.starts.empty() ? none : a.starts[part], a.sums[part],
                              ArrayRef<Value>(w.quads).slice(part * quads, quads),
                              ArrayRef<Value>(a.q).slice(part * quads, quads)));
  return addBlock(e, format, w, a, dots, acc);
}
