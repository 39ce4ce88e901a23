//===- LowerDot.cpp - integer dot products, and their codes' tables, in each target's instructions -------------------===//
//
//   %i = heddle.dot %init sum %s codes(%c0, …) activations(%a0, …) {code_max = 15}
// →
//   v4+vnni, v3+vnni vpdpbusd a quad: u8·i8 summed by fours into i32
//   v4, v3           vpmaddubsw a quad, quads summed in i16 as long as code_max allows, then vpmaddwd widens
//   plain            the same sums spelt out in arith, for hosts and tools without these instructions
//
// All are exact in integers, so the target never shows in a result. Signed codes (Q8_0) take VNNI's unsigned operand by adding
// 128 to each code and taking 128·Σq off again; vpmaddubsw gets |code| and the activations with the code's sign. Pairs of i16
// are a vpdpwssd or a vpmaddwd each. heddle.lookup, which makes the codes of some formats, is a vpshufb.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "compiler/kernels/Emit.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "runtime/plan/Targets.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

namespace {
Value intrinsic(Emit &e, StringRef name, Type result, ValueRange operands) {
  return e.b.create<LLVM::CallIntrinsicOp>(e.loc, TypeRange{result}, e.b.getStringAttr(name), operands, LLVM::FastmathFlagsAttr())
      .getResult(0);
}
Value slice(Emit &e, Value v, int64_t from, int64_t n) {
  SmallVector<int64_t> mask;
  for (int64_t i = 0; i < n; ++i)
    mask.push_back(from + i);
  return e.shuffle(v, v, mask);
}
Value concat(Emit &e, Value low, Value high) {
  SmallVector<int64_t> mask;
  for (int64_t i = 0, n = 2 * cast<VectorType>(low.getType()).getNumElements(); i < n; ++i)
    mask.push_back(i);
  return e.shuffle(low, high, mask);
}
Value addi(Emit &e, Value a, Value b) { return e.b.create<arith::AddIOp>(e.loc, a, b); }

int64_t lanesOf(DotOp op) { return cast<VectorType>(op.getInit().getType()).getNumElements(); }
bool inPairs(DotOp op) { return cast<VectorType>(op.getCodes()[0].getType()).getElementType().isInteger(16); }
Value byteSplat(Emit &e, int64_t byte, int64_t n) {
  return e.splat(e.b.create<arith::ConstantOp>(e.loc, e.b.getI8IntegerAttr(byte)), n);
}

/// `widest` is the width of a register, here and below: 32 bytes for AVX2, 64 for AVX-512.
Value vnni(Emit &e, DotOp op, int64_t widest) {
  int64_t all = lanesOf(op), count = std::min(all, widest / 4), each = inPairs(op) ? 2 : 4;
  Type lanes = e.vectorType(count, e.b.getI32Type());
  // LLVM's name for the instruction of AVX-VNNI too.
  std::string name = std::string("llvm.x86.avx512.") + (inPairs(op) ? "vpdpwssd" : "vpdpbusd") + (count == 16 ? ".512" : ".256");
  bool biased = op.getSignedCodes() && !inPairs(op);
  Value start = op.getInit(), top = byteSplat(e, -128, 4 * count);
  if (biased)
    start = addi(e, start, e.splat(e.b.create<arith::MulIOp>(e.loc, op.getSum(), e.i32(-128)), all));
  SmallVector<Value> parts;
  for (int64_t from = 0; from < all; from += count) {
    auto part = [&](Value v, int64_t elements) { return count == all ? v : slice(e, v, elements * from, elements * count); };
    auto words = [&](Value v) { return e.b.create<vector::BitCastOp>(e.loc, lanes, v); };
    Value acc = part(start, 1);
    for (auto [codes, activations] : llvm::zip(op.getCodes(), op.getActivations())) {
      Value code = part(codes, each);
      if (biased)
        code = e.b.create<arith::XOrIOp>(e.loc, code, top);
      acc = intrinsic(e, name, lanes, {acc, words(code), words(part(activations, each))});
    }
    parts.push_back(acc);
  }
  return parts.size() == 1 ? parts[0] : concat(e, parts[0], parts[1]);
}

Value multiplyAdd(Emit &e, DotOp op, int64_t widest) {
  int64_t all = 4 * lanesOf(op), bytes = std::min(all, widest), element = inPairs(op) ? 2 : 1;
  Type i8 = e.vectorType(bytes, e.b.getI8Type()), i16 = e.vectorType(bytes / 2, e.b.getI16Type()),
       i32 = e.vectorType(bytes / 4, e.b.getI32Type());
  bool wide = bytes == 64;
  StringRef maddubs = wide ? "llvm.x86.avx512.pmaddubs.w.512" : "llvm.x86.avx2.pmadd.ub.sw";
  StringRef maddwd = wide ? "llvm.x86.avx512.pmaddw.d.512" : "llvm.x86.avx2.pmadd.wd";
  int64_t together =
      op.getSignedCodes() ? 1 : std::max<int64_t>(1, 32767 / (2 * op.getCodeMax() * 127)); // quads whose sum fits i16
  Value ones = e.splat(e.b.create<arith::ConstantOp>(e.loc, e.b.getI16IntegerAttr(1)), bytes / 2);
  Value zero = byteSplat(e, 0, bytes);
  SmallVector<Value> parts;
  for (int64_t from = 0; from < all; from += bytes) {
    auto part = [&](Value v) { return bytes == all ? v : slice(e, v, from / element, bytes / element); };
    Value acc, words;
    int64_t pending = 0;
    auto widen = [&](Value pairs, Value by) {
      Value sums = intrinsic(e, maddwd, i32, {pairs, by});
      acc = acc ? addi(e, acc, sums) : sums;
      pending = 0;
    };
    for (auto [codes, activations] : llvm::zip(op.getCodes(), op.getActivations())) {
      Value code = part(codes), activation = part(activations);
      if (inPairs(op)) {
        widen(code, activation);
        continue;
      }
      if (op.getSignedCodes()) {
        Value negative = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::slt, code, zero);
        Value minus = e.b.create<arith::SubIOp>(e.loc, zero, code), flipped = e.b.create<arith::SubIOp>(e.loc, zero, activation);
        if (wide)
          activation = e.select(negative, flipped, activation);
        else
          activation = intrinsic(e, "llvm.x86.avx2.psign.b", i8, {activation, code});
        code = e.select(negative, minus, code);
      }
      Value product = intrinsic(e, maddubs, i16, {code, activation});
      words = pending ? addi(e, words, product) : product;
      if (++pending == together)
        widen(words, ones);
    }
    if (pending)
      widen(words, ones);
    parts.push_back(acc);
  }
  return addi(e, op.getInit(), parts.size() == 1 ? parts[0] : concat(e, parts[0], parts[1]));
}

Value plain(Emit &e, DotOp op) {
  int64_t lanes = lanesOf(op), each = inPairs(op) ? 2 : 4;
  Type wide = e.vectorType(each * lanes, e.b.getI32Type());
  Value acc = op.getInit();
  for (auto [codes, activations] : llvm::zip(op.getCodes(), op.getActivations())) {
    Value code = op.getSignedCodes() ? e.b.create<arith::ExtSIOp>(e.loc, wide, codes).getResult()
                                     : e.b.create<arith::ExtUIOp>(e.loc, wide, codes).getResult();
    Value product = e.b.create<arith::MulIOp>(e.loc, code, e.b.create<arith::ExtSIOp>(e.loc, wide, activations));
    for (int64_t i = 0; i < each; ++i) {
      SmallVector<int64_t> mask;
      for (int64_t lane = 0; lane < lanes; ++lane)
        mask.push_back(each * lane + i);
      acc = addi(e, acc, e.shuffle(product, product, mask));
    }
  }
  return acc;
}

/// The table stands in every 16 bytes of a register, as vpshufb looks up within these.
Value shuffleBytes(Emit &e, LookupOp op, int64_t widest) {
  int64_t all = cast<VectorType>(op.getType()).getNumElements(), bytes = std::min(all, widest);
  VectorType part = e.vectorType(bytes, e.b.getI8Type());
  SmallVector<int8_t> repeated;
  for (int64_t i = 0; i < bytes; ++i)
    repeated.push_back(op.getTable()[i % 16]);
  Value table = e.b.create<arith::ConstantOp>(e.loc, DenseElementsAttr::get(part, ArrayRef<int8_t>(repeated)));
  StringRef name = bytes == 64 ? "llvm.x86.avx512.pshuf.b.512" : "llvm.x86.avx2.pshuf.b";
  auto looked = [&](Value indices) { return intrinsic(e, name, part, {table, indices}); };
  if (bytes == all)
    return looked(op.getIndices());
  return concat(e, looked(slice(e, op.getIndices(), 0, bytes)), looked(slice(e, op.getIndices(), bytes, bytes)));
}

Value selectBytes(Emit &e, LookupOp op) {
  int64_t n = cast<VectorType>(op.getType()).getNumElements();
  Value found = byteSplat(e, op.getTable()[0], n);
  for (int64_t i = 1; i < 16; ++i) {
    Value here = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, op.getIndices(), byteSplat(e, i, n));
    found = e.select(here, byteSplat(e, op.getTable()[i], n), found);
  }
  return found;
}

struct LowerDot : heddle::ModulePass<LowerDot> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerDot)
  static constexpr llvm::StringLiteral flag = "heddle-lower-dot";
  static constexpr llvm::StringLiteral summary = "lower integer dot products and table lookups to the target's instructions";

  LowerDot() = default;
  explicit LowerDot(Target target) { this->target = targetName(target).str(); }
  LowerDot(const LowerDot &other) : ModulePass(other) { target = other.target.getValue(); }
  Option<std::string> target{*this, "target", llvm::cl::desc("the CPU: plain, " + targetChoices()), llvm::cl::init("plain")};

  void runOnOperation() override {
    std::optional<Target> known = targetByName(target);
    if (!known && target != "plain") {
      getOperation().emitError("unknown target '") << target.getValue() << "': choose plain, " << targetChoices();
      return signalPassFailure();
    }
    const int64_t widest = known && hasWideRegisters(*known) ? 64 : 32;
    lower<DotOp>([&](Emit &e, DotOp op) {
      return !known ? plain(e, op) : hasVnni(*known) ? vnni(e, op, widest) : multiplyAdd(e, op, widest);
    });
    lower<LookupOp>([&](Emit &e, LookupOp op) { return known ? shuffleBytes(e, op, widest) : selectBytes(e, op); });
  }

  template <class Op> void lower(llvm::function_ref<Value(Emit &, Op)> emit) {
    SmallVector<Op> ops;
    getOperation().walk([&](Op op) { ops.push_back(op); });
    for (Op op : ops) {
      OpBuilder builder(op);
      Emit e{builder, op.getLoc()};
      op.getResult().replaceAllUsesWith(emit(e, op));
      op.erase();
    }
  }
};
} // namespace

std::unique_ptr<Pass> heddle::createLowerDotPass(Target target) { return std::make_unique<LowerDot>(target); }
