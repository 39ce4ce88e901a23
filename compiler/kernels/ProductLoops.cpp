//===- ProductLoops.cpp - heddle.linear as loops over register tiles -------------------------------------------------===//
//
//   heddle.linear %x weights(%w) residual(%r) shares(%b, %e) outs(%y) …
// →
//   scf.for %block = %first to %last step %size {       // blocks of this thread's row groups: they stay in its cache
//     scf.for %t = 0 to %tokens step 8 {                // token tiles; then 4, 2 and 1 for what is left
//       scf.for %g = %block to %blockEnd {
//         %acc:8 = heddle.tile_product "q4_1" %x[%t], %w[%g] columns 576 …
//         … epilogue on vectors of 16 rows, stores …
//       }
//     }
//   }
//
// A block is as large as the cache allows, but a single row group where tokens are few.
// Each accumulator belongs to one row and one token and goes through K by itself, so that neither blocks nor tiles show in a bit.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/kernels/ProductLoops.h"
#include "compiler/kernels/Items.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// A product with floats is one chain of FMAs a row group and token, and an FMA waits for the one before it: tiles of few tokens
/// take several row groups, until there are as many chains.
constexpr int64_t kChains = 4;
/// Few tokens wait for memory. Their tiles take turns at each row group, which comes from memory while the one before is
/// multiplied; with blocks, memory would rest while the second tile goes through a block.
constexpr int64_t kFewTokens = 32;

ProductLoops::ProductLoops(LinearOp op, const LoopShape &shape)
    : op_(op), wide_(shape.registers != Target::Avx2), gated_(op.getGate().has_value()),
      requantised_(cast<MemRefType>(op.getOuts()[0].getType()).getRank() == 3), unitGroups_(requantised_ ? 2 : 1),
      cacheBytes_(shape.cacheBytes), heights_(wide_ ? SmallVector<int64_t>{8, 4, 2, 1} : SmallVector<int64_t>{4, 2, 1}) {}

const FormatTraits &ProductLoops::formatOf(size_t weight) {
  StringRef name = cast<StringAttr>((*op_.getFormats())[weight]).getValue();
  return traits(*formatByName(std::string_view(name.data(), name.size())));
}

/// Units whose weights fit in half of the cache; the other half is for the activations that go by. Enough for tiles of several
/// row groups in any case.
int64_t ProductLoops::unitsOfBlock(size_t out) {
  auto groupBytes = [&](size_t weight) { return cast<MemRefType>(op_.getWeights()[weight].getType()).getDimSize(1); };
  int64_t unitBytes = unitGroups_ * (groupBytes(out) + (gated_ ? groupBytes(1) : 0));
  return std::max(kChains, cacheBytes_ / 2 / unitBytes);
}

/// Threads cut the units of all weights as one list.
SmallVector<ProductLoops::Units> ProductLoops::unitsOfThread(Emit &e) {
  ArrayRef<int64_t> rows = *op_.getRows(), unitRows = *op_.getUnitRows();
  int64_t height = kGroupRows * unitGroups_;
  SmallVector<std::pair<Value, Value>> ofRank; // begin, count
  Value total = e.index(0);
  for (size_t i = 0; i < (gated_ ? 1 : op_.getWeights().size()); ++i) {
    Value begin = e.index(0), end = e.index(llvm::divideCeil(rows[i], height));
    if (!op_.getShares().empty()) {
      Value perShare = e.index(unitRows[i] / height);
      begin = e.minimum(e.mul(op_.getShares()[2 * i], perShare), end);
      end = e.minimum(e.mul(op_.getShares()[2 * i + 1], perShare), end);
    }
    ofRank.push_back({begin, e.sub(end, begin)});
    total = e.add(total, ofRank.back().second);
  }
  auto [first, last] = threadRange(e, op_, total);
  SmallVector<Units> units;
  Value before = e.index(0);
  for (auto [begin, count] : ofRank) {
    auto clamp = [&](Value x) { return e.add(begin, e.minimum(e.maximum(e.sub(x, before), e.index(0)), count)); };
    units.push_back({clamp(first), clamp(last), op_.getWholeWeights() ? e.index(0) : begin});
    before = e.add(before, count);
  }
  return units;
}

void ProductLoops::emit(Emit e) {
  Value few = e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::ule, e.dim(op_.getInput()), e.index(kFewTokens));
  for (auto [out, units] : llvm::enumerate(unitsOfThread(e))) {
    Value size = e.select(few, e.index(formatOf(out).quantized ? 1 : kChains), e.index(unitsOfBlock(out)));
    e.forLoop(units.first, units.last, size, [&, out = out, &units = units](Emit &e, Value from) {
      block(e, out, {from, e.minimum(e.add(from, size), units.last), units.stored});
    });
  }
}

/// All tokens go by a block of units. The tallest tiles first, then what is left, so that any token count runs through the same
/// code.
void ProductLoops::block(Emit &e, size_t out, const Units &units) {
  Value tokens = e.dim(op_.getInput()), from = e.index(0);
  for (int64_t height : heights_) {
    Value to = e.add(from, e.mul(e.div(e.sub(tokens, from), e.index(height)), e.index(height)));
    e.forLoop(from, to, height, [&](Emit &e, Value token) {
      Value first = units.first;
      int64_t together = formatOf(out).quantized ? 1 : std::max<int64_t>(1, kChains / unitGroups_ / height);
      for (int64_t count = together; count; count = count == 1 ? 0 : 1) {
        Value last = e.add(first, e.mul(e.div(e.sub(units.last, first), e.index(count)), e.index(count)));
        e.forLoop(first, last, count, [&](Emit &e, Value unit) { tile(e, out, unit, units.stored, count, token, height); });
        first = last;
      }
    });
    from = to;
  }
}

/// `count` output units from `unit` on, for `height` tokens from `token` on; the weight's buffer starts with unit `stored`.
void ProductLoops::tile(Emit &e, size_t out, Value unit, Value stored, int64_t count, Value token, int64_t height) {
  // Quantised products take a row group at a time, floats all of them; the values then stand by row group and token.
  int64_t groups = count * unitGroups_, atOnce = formatOf(out).quantized ? 1 : groups;
  Value first = e.mul(e.sub(unit, stored), e.index(unitGroups_));
  SmallVector<Value> values;
  for (int64_t n = 0; n < groups; n += atOnce) {
    Value group = n ? e.add(first, e.index(n)) : first;
    SmallVector<Value> part = product(e, out, group, atOnce, token, height);
    if (gated_)
      for (auto [value, up] : llvm::zip(part, product(e, 1, group, atOnce, token, height)))
        value = e.b.create<arith::MulFOp>(e.loc, e.b.create<TileActivateOp>(e.loc, e.lanesType(), value, op_.getGateAttr()), up);
    values.append(part);
  }
  Value to = op_.getOuts()[out], columns = e.mul(unit, e.index(kGroupRows * unitGroups_));
  for (int64_t m = 0; m < height; ++m) {
    Value row = m ? e.add(token, e.index(m)) : token;
    for (int64_t n = 0; n < groups; ++n) {
      Value column = n ? e.add(columns, e.index(kGroupRows * n)) : columns, &v = values[n * height + m];
      if (op_.getResidual())
        v = e.addf(e.load(op_.getResidual(), {row, column}), v);
      if (!requantised_)
        e.store(v, to, {row, column});
      else if (n % 2)
        e.b.create<TileQuantizeOp>(e.loc, values[(n - 1) * height + m], v, to, row, n > 1 ? e.add(unit, e.index(n / 2)) : unit);
    }
  }
}

/// Row groups [group, group + groups) × tokens [token, token + height): a vector each, by row group, then token.
SmallVector<Value> ProductLoops::product(Emit &e, size_t weight, Value group, int64_t groups, Value token, int64_t height) {
  const FormatTraits &format = formatOf(weight);
  Value buffer = op_.getWeights()[weight];
  int64_t columns = cast<MemRefType>(buffer.getType()).getDimSize(1) / format.packedBytes * format.blockElements;
  int64_t lanes = wide_ || !format.quantized ? 16 : 8;
  auto tile = e.b.create<TileProductOp>(e.loc, SmallVector<Type>(groups * height, e.lanesType()), op_.getInput(), token, buffer,
                                        group, cast<StringAttr>((*op_.getFormats())[weight]), columns, lanes, groups);
  return SmallVector<Value>(tile.getAccumulators());
}
