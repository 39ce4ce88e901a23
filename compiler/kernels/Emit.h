//===- Emit.h - short words for the IR that kernels are made of ------------------------------------------------------===//
#pragma once
#include "ir/dialect/Dialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "runtime/quant/Format.h"

namespace heddle {

/// The traits of a weight's format, from the type of the weight or of its elements.
inline const FormatTraits &formatOf(mlir::Type type) {
  llvm::StringRef name = ir::formatName(mlir::getElementTypeOrSelf(type));
  return traits(*formatByName(std::string_view(name.data(), name.size())));
}

/// What heddle.bytes makes of a buffer's type. Experts stand one after another.
inline mlir::MemRefType bytesType(mlir::MemRefType type) {
  mlir::Type byte = mlir::IntegerType::get(type.getContext(), 8);
  if (ir::isQ8(type))
    return mlir::MemRefType::get({type.getDimSize(0), type.getDimSize(1) / 32, 40}, byte);
  int64_t rank = type.getRank(), stacked = rank == 3 ? type.getDimSize(0) : 1;
  int64_t groups = stacked * ((type.getDimSize(rank - 2) + kGroupRows - 1) / kGroupRows);
  return mlir::MemRefType::get({groups, formatOf(type).groupBytes(ir::lastDim(type))}, byte);
}

/// A builder and a location. Cheap to copy; loops hand their bodies one that builds inside.
struct Emit {
  mlir::OpBuilder &b;
  mlir::Location loc;
  using Value = mlir::Value;

  // ---- index arithmetic (never negative) ----
  Value index(int64_t n) { return b.create<mlir::arith::ConstantIndexOp>(loc, n); }
  Value add(Value x, Value y) { return b.create<mlir::arith::AddIOp>(loc, x, y); }
  Value sub(Value x, Value y) { return b.create<mlir::arith::SubIOp>(loc, x, y); }
  Value mul(Value x, Value y) { return b.create<mlir::arith::MulIOp>(loc, x, y); }
  Value div(Value x, Value y) { return b.create<mlir::arith::DivUIOp>(loc, x, y); }
  Value rem(Value x, Value y) { return b.create<mlir::arith::RemUIOp>(loc, x, y); }
  Value minimum(Value x, Value y) { return b.create<mlir::arith::MinSIOp>(loc, x, y); }
  Value maximum(Value x, Value y) { return b.create<mlir::arith::MaxSIOp>(loc, x, y); }

  // ---- the environment ----
  Value environment(ir::Place place) { return b.create<ir::EnvironmentOp>(loc, place); }
  Value batch(ir::BatchList list) {
    return b.create<ir::BatchOp>(loc, mlir::MemRefType::get({mlir::ShapedType::kDynamic}, b.getI32Type()), list);
  }
  /// Position, or row of the page table, of a token.
  Value positionOf(Value token) { return loadIndex(batch(ir::BatchList::Positions), token); }
  Value sequenceOf(Value token) { return loadIndex(batch(ir::BatchList::Sequences), token); }
  /// A state's memory, page table and the table's width.
  ir::PagesOp pages(mlir::FlatSymbolRefAttr state, ir::Access access = ir::Access::Read) {
    auto list = [&](mlir::Type element) { return mlir::MemRefType::get({mlir::ShapedType::kDynamic}, element); };
    return b.create<ir::PagesOp>(loc, list(b.getI8Type()), list(b.getI32Type()), b.getIndexType(), state,
                                 ir::AccessAttr::get(b.getContext(), access));
  }
  /// How many positions of the token's sequence a state holds.
  Value lengthOf(mlir::FlatSymbolRefAttr state, Value token) {
    auto list = mlir::MemRefType::get({mlir::ShapedType::kDynamic}, b.getI32Type());
    return loadIndex(b.create<ir::LengthsOp>(loc, list, state), sequenceOf(token));
  }
  /// The values of a RoPE table; null without one.
  Value angles(mlir::FlatSymbolRefAttr table) {
    if (!table)
      return {};
    return b.create<ir::AnglesOp>(loc, mlir::MemRefType::get({mlir::ShapedType::kDynamic}, b.getF32Type()), table);
  }
  Value partials() { return b.create<ir::PartialsOp>(loc, mlir::MemRefType::get({mlir::ShapedType::kDynamic}, b.getF32Type())); }
  /// The bytes of rows of q8 or of a packed weight (the op's own description says how they lie).
  Value bytes(Value buffer) {
    return b.create<ir::BytesOp>(loc, bytesType(mlir::cast<mlir::MemRefType>(buffer.getType())), buffer);
  }

  // ---- memory ----
  Value dim(Value buffer) { return b.create<mlir::memref::DimOp>(loc, buffer, index(0)); }
  /// An element of a rank-1 buffer, and an integer one as an index.
  Value loadScalar(Value buffer, Value at) { return b.create<mlir::memref::LoadOp>(loc, buffer, mlir::ValueRange{at}); }
  Value loadIndex(Value buffer, Value at) {
    return b.create<mlir::arith::IndexCastOp>(loc, b.getIndexType(), loadScalar(buffer, at));
  }
  mlir::VectorType lanesType() { return mlir::VectorType::get({16}, b.getF32Type()); }
  mlir::VectorType vectorType(int64_t n, mlir::Type element) { return mlir::VectorType::get({n}, element); }
  /// 16 f32 at `at`, whose last coordinate need not be aligned.
  Value load(Value buffer, mlir::ValueRange at) { return b.create<mlir::vector::LoadOp>(loc, lanesType(), buffer, at); }
  void store(Value v, Value buffer, mlir::ValueRange at) { b.create<mlir::vector::StoreOp>(loc, v, buffer, at); }
  /// `n` bytes of an i8 buffer, seen as a vector of `element`.
  Value loadBytes(Value buffer, mlir::ValueRange at, int64_t n, mlir::Type element) {
    Value bytes = b.create<mlir::vector::LoadOp>(loc, vectorType(n, b.getI8Type()), buffer, at);
    if (element.isInteger(8))
      return bytes;
    return b.create<mlir::vector::BitCastOp>(loc, vectorType(n * 8 / element.getIntOrFloatBitWidth(), element), bytes);
  }
  void storeBytes(Value v, Value buffer, mlir::ValueRange at) {
    auto type = mlir::cast<mlir::VectorType>(v.getType());
    int64_t n = type.getNumElements() * type.getElementTypeBitWidth() / 8;
    if (!type.getElementType().isInteger(8))
      v = b.create<mlir::vector::BitCastOp>(loc, vectorType(n, b.getI8Type()), v);
    b.create<mlir::vector::StoreOp>(loc, v, buffer, at);
  }

  /// Asks for the cache line at `at` of an i8 buffer: into L1, or, what is to be read later, into L2. Any address will do.
  void prefetch(Value buffer, mlir::ValueRange at, bool later = false) {
    b.create<mlir::memref::PrefetchOp>(loc, buffer, at, /*isWrite=*/false, /*localityHint=*/later ? 2 : 3,
                                       /*isDataCache=*/true);
  }

  /// A buffer on the thread's stack, made once per call of the function that `op` stands in.
  Value stackBuffer(mlir::Operation *op, mlir::MemRefType type) {
    mlir::OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&op->getParentOfType<mlir::func::FuncOp>().front());
    return b.create<mlir::memref::AllocaOp>(loc, type, b.getI64IntegerAttr(64));
  }

  // ---- vectors ----
  Value f32(float x) { return b.create<mlir::arith::ConstantOp>(loc, b.getF32FloatAttr(x)); }
  Value i32(int32_t x) { return b.create<mlir::arith::ConstantOp>(loc, b.getI32IntegerAttr(x)); }
  Value splat(Value scalar, int64_t n = 16) {
    return b.create<mlir::vector::BroadcastOp>(loc, vectorType(n, scalar.getType()), scalar);
  }
  Value lanes(float x) { return splat(f32(x)); }
  Value extract(Value v, int64_t lane) { return b.create<mlir::vector::ExtractOp>(loc, v, lane); }
  Value shuffle(Value x, Value y, mlir::ArrayRef<int64_t> mask) { return b.create<mlir::vector::ShuffleOp>(loc, x, y, mask); }
  Value addf(Value x, Value y) { return b.create<mlir::arith::AddFOp>(loc, x, y); }
  Value subf(Value x, Value y) { return b.create<mlir::arith::SubFOp>(loc, x, y); }
  Value mulf(Value x, Value y) { return b.create<mlir::arith::MulFOp>(loc, x, y); }
  Value divf(Value x, Value y) { return b.create<mlir::arith::DivFOp>(loc, x, y); }
  Value negf(Value x) { return b.create<mlir::arith::NegFOp>(loc, x); }
  Value fma(Value x, Value y, Value z) { return b.create<mlir::math::FmaOp>(loc, x, y, z); }
  Value select(Value c, Value x, Value y) { return b.create<mlir::arith::SelectOp>(loc, c, x, y); }

  // ---- loops ----
  void forLoop(Value from, Value to, int64_t step, llvm::function_ref<void(Emit &, Value)> body) {
    forLoop(from, to, index(step), body);
  }
  void forLoop(Value from, Value to, Value step, llvm::function_ref<void(Emit &, Value)> body) {
    auto loop = b.create<mlir::scf::ForOp>(loc, from, to, step);
    mlir::OpBuilder inside = mlir::OpBuilder::atBlockBegin(loop.getBody());
    Emit e{inside, loc};
    body(e, loop.getInductionVar());
  }
  /// A loop that carries values: body returns their next state.
  mlir::SmallVector<Value> forCarrying(Value from, Value to, int64_t step, mlir::ValueRange start,
                                       llvm::function_ref<mlir::SmallVector<Value>(Emit &, Value, mlir::ValueRange)> body) {
    auto loop = b.create<mlir::scf::ForOp>(loc, from, to, index(step), start);
    if (start.empty())
      loop.getBody()->getTerminator()->erase();
    mlir::OpBuilder inside = mlir::OpBuilder::atBlockEnd(loop.getBody());
    Emit e{inside, loc};
    mlir::SmallVector<Value> next = body(e, loop.getInductionVar(), loop.getRegionIterArgs());
    inside.create<mlir::scf::YieldOp>(loc, next);
    return mlir::SmallVector<Value>(loop.getResults());
  }
};

/// runtime/math/Functions.h over IR: floats or vectors of them, by the type of what it is given.
struct EmitOps {
  using Value = mlir::Value;
  Emit e;
  mlir::Type type; // f32 or vector<…xf32>
  Value constant(float x) const {
    Emit m = e;
    Value scalar = m.f32(x);
    auto vector = mlir::dyn_cast<mlir::VectorType>(type);
    return vector ? m.splat(scalar, vector.getNumElements()) : scalar;
  }
  Value add(Value a, Value b) const { return Emit(e).addf(a, b); }
  Value sub(Value a, Value b) const { return Emit(e).subf(a, b); }
  Value mul(Value a, Value b) const { return Emit(e).mulf(a, b); }
  Value div(Value a, Value b) const { return Emit(e).divf(a, b); }
  Value fma(Value a, Value b, Value c) const { return Emit(e).fma(a, b, c); }
  Value roundEven(Value a) const { return e.b.create<mlir::math::RoundEvenOp>(e.loc, a); }
  Value abs(Value a) const { return e.b.create<mlir::math::AbsFOp>(e.loc, a); }
  Value selectLess(Value a, Value b, Value x, Value y) const {
    return Emit(e).select(e.b.create<mlir::arith::CmpFOp>(e.loc, mlir::arith::CmpFPredicate::OLT, a, b), x, y);
  }
  Value exp2Integral(Value n) const {
    auto vector = mlir::dyn_cast<mlir::VectorType>(type);
    mlir::Type bits = e.b.getI32Type();
    Value shift = Emit(e).i32(23);
    if (vector)
      bits = mlir::VectorType::get(vector.getShape(), bits), shift = Emit(e).splat(shift, vector.getNumElements());
    Value sum = e.b.create<mlir::arith::BitcastOp>(e.loc, bits, add(n, constant(12583039.0f)));
    return e.b.create<mlir::arith::BitcastOp>(e.loc, type, e.b.create<mlir::arith::ShLIOp>(e.loc, sum, shift));
  }
};

} // namespace heddle
