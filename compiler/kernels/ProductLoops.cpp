//===- ProductLoops.cpp - heddle.linear as loops over register tiles -------------------------------------------------===//
//
//   heddle.linear %x weights(%w) residual(%r) shares(%b, %e) outs(%y) …
// →
//   scf.for %block = %first to %last step %size {       // blocks of this thread's row groups: they stay in its cache
//     scf.for %t = 0 to %tokens step 8 {                // token tiles; then 4, 2 and 1 for what is left
//       scf.for %g = %block to %blockEnd {
//         %acc:8 = heddle.tile_product %x[%t], %w[%g] …
//         … epilogue on vectors of 16 rows, stores …
//       }
//     }
//   }
//
// A block is as large as the cache allows, but a single row group where tokens are few.
//
// Where registers are few (AVX2), quantised products of four tokens and more go by panels instead:
//
//   scf.for %panel = %first to %last step 16 {
//     scf.for %t = 0 to %tokens step 16 {
//       heddle.tile_product_panel %x[%t for %count], %w[%panel for %size] -> %sums
//       … epilogue on vectors of 16 rows, stores …
//     }
//   }
//
// Each accumulator belongs to one row and one token and goes through K by itself, so that neither blocks, tiles nor panels show
// in a bit.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/kernels/ProductLoops.h"
#include "compiler/kernels/Items.h"
#include "compiler/kernels/KernelLoops.h"
#include "compiler/kernels/formats/Formats.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// A product with floats is one chain of FMAs a row group and token, and an FMA waits for the one before it: tiles of few tokens
/// take several row groups, until there are as many chains.
constexpr int64_t kChains = 4;
/// Few tokens wait for memory. Their tiles take turns at each row group, which comes from memory while the one before is
/// multiplied; with blocks, memory would rest while the second tile goes through a block.
constexpr int64_t kFewTokens = 32;
/// Tokens from which panels are faster than register tiles.
constexpr int64_t kPanelFrom = 4;
/// A panel's row groups and tokens: 16 KiB of accumulators, which with 5 KiB of splat activations stay in the first-level cache
/// while a weight goes by.
/// With 8 row groups a panel was 3% slower, with 4 10% (one core of Zen 4, q4_0).
constexpr int64_t kPanelGroups = 16, kPanelTokens = 16;

ProductLoops::ProductLoops(LinearOp op, const LoopShape &shape)
    : op_(op), wide_(hasWideRegisters(shape.registers)), vnni_(hasVnni(shape.registers)), gated_(op.getGate().has_value()),
      requantised_(isQ8(op.getOuts()[0].getType())), unitGroups_(requantised_ ? 2 : 1), cacheBytes_(shape.cacheBytes),
      prefetchBytes_(shape.prefetchBytes) {}

const FormatTraits &ProductLoops::formatOf(size_t weight) { return heddle::formatOf(op_.getWeights()[weight].getType()); }

/// Units whose weights fit in half of the cache; the other half is for the activations that go by. Enough for tiles of several
/// row groups in any case.
int64_t ProductLoops::unitsOfBlock(size_t out) {
  auto groupBytes = [&](size_t weight) { return bytesType(cast<MemRefType>(op_.getWeights()[weight].getType())).getDimSize(1); };
  int64_t unitBytes = unitGroups_ * (groupBytes(out) + (gated_ ? groupBytes(1) : 0));
  return std::max(kChains, cacheBytes_ / 2 / unitBytes);
}

/// Threads cut the units of all weights as one list.
SmallVector<ProductLoops::Units> ProductLoops::unitsOfThread(Emit &e) {
  ArrayRef<int64_t> unitRows = op_.getUnitRows().value_or(ArrayRef<int64_t>());
  int64_t height = kGroupRows * unitGroups_;
  SmallVector<std::pair<Value, Value>> ofRank; // begin, count
  Value total = e.index(0);
  for (size_t i = 0; i < (gated_ ? 1 : op_.getWeights().size()); ++i) {
    Value begin = e.index(0),
          end = e.index(llvm::divideCeil(cast<MemRefType>(op_.getWeights()[i].getType()).getDimSize(0), height));
    if (!op_.getShares().empty()) {
      Value perShare = e.index(unitRows[i] / height);
      begin = e.minimum(e.mul(op_.getShares()[2 * i], perShare), end);
      end = e.minimum(e.mul(op_.getShares()[2 * i + 1], perShare), end);
    }
    ofRank.push_back({begin, e.sub(end, begin)});
    total = e.add(total, ofRank.back().second);
  }
  auto [first, last] = threadRange(e, total);
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
  auto tokensUpTo = [&](int64_t n) -> Value {
    return e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::ule, e.dim(op_.getInput()), e.index(n));
  };
  Value few = tokensUpTo(kFewTokens), low = tokensUpTo(kPanelFrom - 1);
  for (auto [out, units] : llvm::enumerate(unitsOfThread(e))) {
    auto blocks = [&, out = out, &units = units](Emit &e, Value size, ArrayRef<int64_t> heights) {
      e.forLoop(units.first, units.last, size, [&](Emit &e, Value from) {
        tiles(e, out, {from, e.minimum(e.add(from, size), units.last), units.stored}, heights);
      });
    };
    if (!wide_ && formatOf(out).quantized) {
      auto branch = e.b.create<scf::IfOp>(e.loc, low, /*withElseRegion=*/true);
      OpBuilder then = branch.getThenBodyBuilder(), otherwise = branch.getElseBodyBuilder();
      Emit byTiles{then, e.loc}, byPanels{otherwise, e.loc};
      blocks(byTiles, byTiles.index(1), {2, 1});
      panels(byPanels, out, units);
    } else {
      Value size = e.select(few, e.index(formatOf(out).quantized ? 1 : kChains), e.index(unitsOfBlock(out)));
      blocks(e, size, wide_ ? ArrayRef<int64_t>{8, 4, 2, 1} : ArrayRef<int64_t>{4, 2, 1});
    }
  }
}

/// All tokens go by a block of units in register tiles. The tallest tiles first, then what is left, so that any token count runs
/// through the same code.
void ProductLoops::tiles(Emit &e, size_t out, const Units &units, ArrayRef<int64_t> heights) {
  Value tokens = e.dim(op_.getInput()), from = e.index(0);
  for (int64_t height : heights) {
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
    if (gated_) {
      // Rows of the whole weight, as biases are whole: those of the buffer's group, and what stands before the buffer.
      auto row = [&](size_t i) {
        return e.mul(e.add(e.add(group, e.index(static_cast<int64_t>(i) / height)), e.mul(stored, e.index(unitGroups_))),
                     e.index(kGroupRows));
      };
      for (auto [i, value, up] : llvm::enumerate(part, product(e, 1, group, atOnce, token, height)))
        value = gated(e, biased(e, value, 0, row, i), biased(e, up, 1, row, i));
    }
    values.append(part);
  }
  for (int64_t m = 0; m < height; ++m)
    for (int64_t n = 0; n < count; ++n) {
      SmallVector<Value> ofUnit;
      for (int64_t i = 0; i < unitGroups_; ++i)
        ofUnit.push_back(values[(n * unitGroups_ + i) * height + m]);
      finish(e, out, n ? e.add(unit, e.index(n)) : unit, m ? e.add(token, e.index(m)) : token, ofUnit);
    }
}

/// With the weight's bias, if it has one; `row` gives the first row of a vector.
Value ProductLoops::biased(Emit &e, Value v, size_t weight, llvm::function_ref<Value(size_t)> row, size_t i) {
  if (op_.getBiases().empty())
    return v;
  return e.addf(v, loadBias(e, weight, row(i)));
}

/// The biases of 16 rows from `row` on: fewer where the weight ends.
Value ProductLoops::loadBias(Emit &e, size_t weight, Value row) {
  Value bias = op_.getBiases()[weight];
  if (lastDim(bias.getType()) % kGroupRows == 0)
    return e.load(bias, {row});
  Value mask = e.b.create<vector::CreateMaskOp>(e.loc, e.vectorType(kGroupRows, e.b.getI1Type()),
                                                ValueRange{e.sub(e.index(lastDim(bias.getType())), row)});
  return e.b.create<vector::MaskedLoadOp>(e.loc, e.lanesType(), bias, ValueRange{row}, mask, e.lanes(0));
}

Value ProductLoops::gated(Emit &e, Value gate, Value up) {
  return e.mulf(e.b.create<TileActivateOp>(e.loc, e.lanesType(), gate, op_.getGateAttr()), up);
}

/// The epilogue of one token's unit: a vector for each of its row groups, after the gate.
void ProductLoops::finish(Emit &e, size_t out, Value unit, Value token, ValueRange values) {
  Value to = op_.getOuts()[out], column = e.mul(unit, e.index(kGroupRows * unitGroups_));
  SmallVector<Value> done;
  for (Value v : values) {
    Value at = done.empty() ? column : e.add(column, e.index(kGroupRows));
    if (!gated_ && !op_.getBiases().empty())
      v = e.addf(v, loadBias(e, out, at));
    if (op_.getActivation())
      v = e.b.create<TileActivateOp>(e.loc, e.lanesType(), v, op_.getActivationAttr());
    if (op_.getScale())
      v = e.mulf(v, e.lanes(op_.getScale()->convertToFloat()));
    if (op_.getResidual())
      v = e.addf(e.load(op_.getResidual(), {token, at}), v);
    if (!requantised_)
      e.store(v, to, {token, at});
    done.push_back(v);
  }
  if (requantised_)
    e.b.create<TileQuantizeOp>(e.loc, done[0], done[1], to, token, unit);
}

void ProductLoops::panels(Emit &e, size_t out, const Units &units) {
  auto type = MemRefType::get({kPanelGroups, kPanelTokens, kGroupRows}, e.b.getF32Type());
  SmallVector<Value> sums{e.stackBuffer(op_, type)};
  if (gated_)
    sums.push_back(e.stackBuffer(op_, type));
  Value size = e.index(kPanelGroups / unitGroups_), tokens = e.dim(op_.getInput());
  e.forLoop(units.first, units.last, size, [&](Emit &e, Value from) {
    Value count = e.minimum(size, e.sub(units.last, from)), first = e.mul(e.sub(from, units.stored), e.index(unitGroups_));
    e.forLoop(e.index(0), tokens, kPanelTokens, [&](Emit &e, Value token) {
      Value height = e.minimum(e.index(kPanelTokens), e.sub(tokens, token));
      for (auto [i, buffer] : llvm::enumerate(sums)) {
        size_t weight = i ? 1 : out;
        bool pairs = formatKernel(formatName(getElementTypeOrSelf(op_.getWeights()[weight].getType()))).signedCodes && !vnni_;
        e.b.create<TileProductPanelOp>(e.loc, op_.getInput(), token, height, op_.getWeights()[weight], first,
                                       e.mul(count, e.index(unitGroups_)), buffer, /*lanes=*/8, pairs);
      }
      e.forLoop(e.index(0), height, 1, [&](Emit &e, Value m) { // a token's rows side by side, as its results lie
        e.forLoop(e.index(0), count, 1, [&](Emit &e, Value n) {
          SmallVector<Value> values;
          for (int64_t i = 0; i < unitGroups_; ++i) {
            SmallVector<Value> at{e.add(e.mul(n, e.index(unitGroups_)), e.index(i)), m, e.index(0)};
            values.push_back(e.load(sums[0], at));
            if (!gated_)
              continue;
            auto row = [&](size_t) {
              return e.mul(e.add(e.mul(e.add(from, n), e.index(unitGroups_)), e.index(i)), e.index(kGroupRows));
            };
            values.back() = gated(e, biased(e, values.back(), 0, row, 0), biased(e, e.load(sums[1], at), 1, row, 0));
          }
          finish(e, out, e.add(from, n), e.add(token, m), values);
        });
      });
    });
  });
}

/// Row groups [group, group + groups) × tokens [token, token + height): a vector each, by row group, then token.
SmallVector<Value> ProductLoops::product(Emit &e, size_t weight, Value group, int64_t groups, Value token, int64_t height) {
  const FormatTraits &format = formatOf(weight);
  Value buffer = op_.getWeights()[weight];
  int64_t lanes = wide_ || !format.quantized ? 16 : 8;
  int64_t ahead = format.quantized && height < kTallTile ? prefetchBytes_ : 0;
  auto tile = e.b.create<TileProductOp>(e.loc, SmallVector<Type>(groups * height, e.lanesType()), op_.getInput(), token, buffer,
                                        group, lanes, groups, ahead);
  return SmallVector<Value>(tile.getAccumulators());
}

LogicalResult heddle::emitLinear(LinearOp op, Emit &e, const LoopShape &shape) {
  ProductLoops(op, shape).emit(e);
  return success();
}
