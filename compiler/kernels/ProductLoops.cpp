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
// With experts the same goes by for each of them that is chosen, over the list of its choices:
//
//   … each thread sorts the choices of up to 8,192 choices by expert …
//   scf.for %expert = 0 to %experts {
//     … %acc:8 = heddle.tile_product %x[%i], %w[%g] through(%inputs) …, %i from %begin to %end of the expert's list …
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
/// Choices of tokens that are sorted by expert together, on the stack; each expert is read once for all of them.
constexpr int64_t kSortedChoices = 8192;
/// What reading a row group of an expert costs, in rows that it is multiplied with: threads share experts by it.
constexpr int64_t kReadCost = 8;

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

/// The units [begin, end) of a weight that this rank computes, of each expert where there are some.
std::pair<Value, Value> ProductLoops::unitsOfRank(Emit &e, size_t weight) {
  int64_t height = kGroupRows * unitGroups_;
  auto type = cast<MemRefType>(op_.getWeights()[weight].getType());
  Value begin = e.index(0), end = e.index(llvm::divideCeil(type.getDimSize(type.getRank() - 2), height));
  if (!op_.getShares().empty()) {
    Value perShare = e.index((*op_.getUnitRows())[weight] / height);
    begin = e.minimum(e.mul(op_.getShares()[2 * weight], perShare), end);
    end = e.minimum(e.mul(op_.getShares()[2 * weight + 1], perShare), end);
  }
  return {begin, end};
}

/// Those of all ranks.
int64_t ProductLoops::unitsOfExpert() {
  return cast<MemRefType>(op_.getWeights()[0].getType()).getDimSize(1) / (kGroupRows * unitGroups_);
}

/// Threads cut the units of all weights as one list.
SmallVector<ProductLoops::Units> ProductLoops::unitsOfThread(Emit &e) {
  SmallVector<std::pair<Value, Value>> ofRank; // begin, count
  Value total = e.index(0);
  for (size_t i = 0; i < (gated_ ? 1 : op_.getWeights().size()); ++i) {
    auto [begin, end] = unitsOfRank(e, i);
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

static Value isZero(Emit &e, Value x) { return e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, x, e.index(0)); }

void ProductLoops::emit(Emit e) {
  if (op_.getExperts())
    return byExperts(e);
  for (auto [out, units] : llvm::enumerate(unitsOfThread(e)))
    product(e, out, units, {e.index(0), e.dim(op_.getInput())});
}

/// The rows' products with one weight's units, or a gate's two.
void ProductLoops::product(Emit e, size_t out, const Units &units, const Rows &rows) {
  Value count = rows.count(e);
  auto upTo = [&](int64_t n) -> Value { return e.b.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::ule, count, e.index(n)); };
  auto blocks = [&](Emit &e, Value size, ArrayRef<int64_t> heights) {
    e.forLoop(units.first, units.last, size, [&](Emit &e, Value from) {
      tiles(e, out, {from, e.minimum(e.add(from, size), units.last), units.stored, units.bias}, rows, heights);
    });
  };
  if (!wide_ && formatOf(out).quantized) {
    auto branch = e.b.create<scf::IfOp>(e.loc, upTo(kPanelFrom - 1), /*withElseRegion=*/true);
    OpBuilder then = branch.getThenBodyBuilder(), otherwise = branch.getElseBodyBuilder();
    Emit byTiles{then, e.loc}, byPanels{otherwise, e.loc};
    blocks(byTiles, byTiles.index(1), {2, 1});
    panels(byPanels, out, units, rows);
  } else {
    Value size = e.select(upTo(kFewTokens), e.index(formatOf(out).quantized ? 1 : kChains), e.index(unitsOfBlock(out)));
    blocks(e, size, wide_ ? ArrayRef<int64_t>{8, 4, 2, 1} : ArrayRef<int64_t>{4, 2, 1});
  }
}

/// Threads share each expert's units by what they cost: few rows cost the reading of weights, many their multiplication.
void ProductLoops::byExperts(Emit e) {
  const int64_t choices = lastDim(op_.getExperts().getType()),
                experts = cast<MemRefType>(op_.getWeights()[0].getType()).getDimSize(0);
  auto list = [&](int64_t size) { return e.stackBuffer(op_, MemRefType::get({size}, e.b.getI32Type())); };
  Value ends = list(experts + 1), results = list(kSortedChoices);
  Value inputs = op_.getByChoice() ? results : list(kSortedChoices);
  auto narrow = [](Emit &e, Value x) { return e.b.create<arith::IndexCastOp>(e.loc, e.b.getI32Type(), x).getResult(); };
  auto put = [&](Emit &e, Value x, Value buffer, Value at) {
    e.b.create<memref::StoreOp>(e.loc, narrow(e, x), buffer, ValueRange{at});
  };
  Value zero = e.index(0), one = e.index(1), perToken = e.index(choices), tokens = e.dim(op_.getExperts());
  const int64_t together = kSortedChoices / choices; // tokens
  e.forLoop(zero, tokens, together, [&](Emit &e, Value from) {
    Value places = e.mul(e.minimum(e.index(together), e.sub(tokens, from)), perToken), first = e.mul(from, perToken);
    auto chosen = [&](Emit &e, Value place) {
      Value expert = e.b.create<memref::LoadOp>(e.loc, op_.getExperts(),
                                                ValueRange{e.add(from, e.div(place, perToken)), e.rem(place, perToken)});
      return e.b.create<arith::IndexCastOp>(e.loc, e.b.getIndexType(), expert).getResult();
    };
    // Sorted by counting: ends[x + 1] counts expert x, then ends[x] is where it begins, at last where it ends.
    e.forLoop(zero, e.index(experts + 1), 1, [&](Emit &e, Value x) { put(e, zero, ends, x); });
    e.forLoop(zero, places, 1, [&](Emit &e, Value place) {
      Value next = e.add(chosen(e, place), one);
      put(e, e.add(e.loadIndex(ends, next), one), ends, next);
    });
    Value active = e.forCarrying(zero, e.index(experts), 1, {zero}, [&](Emit &e, Value x, ValueRange sum) {
      Value count = e.loadIndex(ends, e.add(x, one));
      put(e, e.add(e.loadIndex(ends, x), count), ends, e.add(x, one));
      return SmallVector<Value>{e.add(sum[0], e.minimum(count, one))};
    })[0];
    e.forLoop(zero, places, 1, [&](Emit &e, Value place) {
      Value expert = chosen(e, place), at = e.loadIndex(ends, expert), result = e.add(first, place);
      put(e, result, results, at);
      if (!op_.getByChoice())
        put(e, e.div(result, perToken), inputs, at);
      put(e, e.add(at, one), ends, expert);
    });

    auto [begin, end] = unitsOfRank(e, 0);
    Value units = e.sub(end, begin), cost = e.add(places, e.mul(active, e.index(kReadCost)));
    auto [low, high] = threadRange(e, e.mul(units, cost));
    Value inBuffer = op_.getWholeWeights() ? e.index(unitsOfExpert()) : units; // units from one expert's rows to the next's
    e.forCarrying(zero, e.index(experts), 1, {zero, zero},
                  [&, low = low, high = high, begin = begin](Emit &e, Value expert, ValueRange carried) {
                    Value start = carried[0], before = carried[1], stop = e.loadIndex(ends, expert), count = e.sub(stop, start);
                    Value each = e.add(count, e.mul(e.minimum(count, one), e.index(kReadCost)));
                    Value divisor = e.maximum(each, one), mine = e.select(isZero(e, count), zero, units);
                    // A unit is the thread's in whose part of the cost it begins.
                    auto clamp = [&](Value x) {
                      Value after = e.maximum(e.sub(x, before), zero);
                      return e.add(begin, e.minimum(e.div(e.add(after, e.sub(divisor, one)), divisor), mine));
                    };
                    Value stored = e.sub(op_.getWholeWeights() ? zero : begin, e.mul(expert, inBuffer));
                    product(e, 0,
                            {clamp(low), clamp(high), stored, e.mul(expert, e.index(unitsOfExpert() * unitGroups_ * kGroupRows))},
                            {start, stop, inputs, results});
                    return SmallVector<Value>{stop, e.add(before, e.mul(each, units))};
                  });
  });
}

/// All rows go by a block of units in register tiles. The tallest tiles first, then what is left, so that any count runs
/// through the same code.
void ProductLoops::tiles(Emit &e, size_t out, const Units &units, const Rows &rows, ArrayRef<int64_t> heights) {
  Value from = rows.from;
  for (int64_t height : heights) {
    Value to = e.add(from, e.mul(e.div(e.sub(rows.to, from), e.index(height)), e.index(height)));
    e.forLoop(from, to, height, [&](Emit &e, Value at) {
      Value first = units.first;
      int64_t together = formatOf(out).quantized ? 1 : std::max<int64_t>(1, kChains / unitGroups_ / height);
      for (int64_t count = together; count; count = count == 1 ? 0 : 1) {
        Value last = e.add(first, e.mul(e.div(e.sub(units.last, first), e.index(count)), e.index(count)));
        e.forLoop(first, last, count, [&](Emit &e, Value unit) { tile(e, out, unit, units, count, rows, at, height); });
        first = last;
      }
    });
    from = to;
  }
}

/// `count` output units from `unit` on, for `height` rows from `at` on.
void ProductLoops::tile(Emit &e, size_t out, Value unit, const Units &units, int64_t count, const Rows &rows, Value at,
                        int64_t height) {
  // Quantised products take a row group at a time, floats all of them; the values then stand by row group and token.
  int64_t groups = count * unitGroups_, atOnce = formatOf(out).quantized ? 1 : groups;
  Value first = e.mul(e.sub(unit, units.stored), e.index(unitGroups_));
  SmallVector<Value> values;
  for (int64_t n = 0; n < groups; n += atOnce) {
    Value group = n ? e.add(first, e.index(n)) : first;
    SmallVector<Value> part = accumulators(e, out, group, atOnce, rows, at, height);
    if (gated_) {
      // Rows of the whole weight, as biases are whole: those of the buffer's group, and what stands before the buffer.
      auto row = [&](size_t i) {
        return e.mul(e.add(e.add(group, e.index(static_cast<int64_t>(i) / height)), e.mul(units.stored, e.index(unitGroups_))),
                     e.index(kGroupRows));
      };
      for (auto [i, value, up] : llvm::enumerate(part, accumulators(e, 1, group, atOnce, rows, at, height)))
        value = gated(e, biased(e, value, 0, units, row, i), biased(e, up, 1, units, row, i));
    }
    values.append(part);
  }
  for (int64_t m = 0; m < height; ++m)
    for (int64_t n = 0; n < count; ++n) {
      SmallVector<Value> ofUnit;
      for (int64_t i = 0; i < unitGroups_; ++i)
        ofUnit.push_back(values[(n * unitGroups_ + i) * height + m]);
      finish(e, out, n ? e.add(unit, e.index(n)) : unit, units, resultRow(e, rows, m ? e.add(at, e.index(m)) : at), ofUnit);
    }
}

/// Where the results of the row at a place go.
Value ProductLoops::resultRow(Emit &e, const Rows &rows, Value at) { return rows.results ? e.loadIndex(rows.results, at) : at; }

/// With the weight's bias, if it has one; `row` gives the first row of a vector.
Value ProductLoops::biased(Emit &e, Value v, size_t weight, const Units &units, llvm::function_ref<Value(size_t)> row, size_t i) {
  if (op_.getBiases().empty())
    return v;
  return e.addf(v, loadBias(e, weight, units, row(i)));
}

/// The biases of 16 rows from `row` on: fewer where the weight ends.
Value ProductLoops::loadBias(Emit &e, size_t weight, const Units &units, Value row) {
  Value bias = op_.getBiases()[weight];
  if (units.bias)
    row = e.add(units.bias, row);
  if (lastDim(bias.getType()) % kGroupRows == 0)
    return e.load(bias, {row});
  Value mask = e.b.create<vector::CreateMaskOp>(e.loc, e.vectorType(kGroupRows, e.b.getI1Type()),
                                                ValueRange{e.sub(e.index(lastDim(bias.getType())), row)});
  return e.b.create<vector::MaskedLoadOp>(e.loc, e.lanesType(), bias, ValueRange{row}, mask, e.lanes(0));
}

Value ProductLoops::gated(Emit &e, Value gate, Value up) {
  if (op_.getUp())
    up = e.b.create<TileActivateOp>(e.loc, e.lanesType(), up, op_.getUpAttr());
  return e.mulf(e.b.create<TileActivateOp>(e.loc, e.lanesType(), gate, op_.getGateAttr()), up);
}

/// The epilogue of one token's unit: a vector for each of its row groups, after the gate.
void ProductLoops::finish(Emit &e, size_t out, Value unit, const Units &units, Value token, ValueRange values) {
  Value to = op_.getOuts()[out], column = e.mul(unit, e.index(kGroupRows * unitGroups_));
  SmallVector<Value> done;
  for (Value v : values) {
    Value at = done.empty() ? column : e.add(column, e.index(kGroupRows));
    if (!gated_ && !op_.getBiases().empty())
      v = e.addf(v, loadBias(e, out, units, at));
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

void ProductLoops::panels(Emit &e, size_t out, const Units &units, const Rows &rows) {
  auto type = MemRefType::get({kPanelGroups, kPanelTokens, kGroupRows}, e.b.getF32Type());
  SmallVector<Value> sums{e.stackBuffer(op_, type)};
  if (gated_)
    sums.push_back(e.stackBuffer(op_, type));
  Value size = e.index(kPanelGroups / unitGroups_);
  e.forLoop(units.first, units.last, size, [&](Emit &e, Value from) {
    Value count = e.minimum(size, e.sub(units.last, from)), first = e.mul(e.sub(from, units.stored), e.index(unitGroups_));
    e.forLoop(rows.from, rows.to, kPanelTokens, [&](Emit &e, Value at) {
      Value height = e.minimum(e.index(kPanelTokens), e.sub(rows.to, at));
      for (auto [i, buffer] : llvm::enumerate(sums)) {
        size_t weight = i ? 1 : out;
        bool pairs = formatKernel(formatName(getElementTypeOrSelf(op_.getWeights()[weight].getType()))).signedCodes && !vnni_;
        e.b.create<TileProductPanelOp>(e.loc, op_.getInput(), at, height, op_.getWeights()[weight], first,
                                       e.mul(count, e.index(unitGroups_)), buffer, rows.inputs, /*lanes=*/8, pairs);
      }
      e.forLoop(e.index(0), height, 1, [&](Emit &e, Value m) { // a token's rows side by side, as its results lie
        e.forLoop(e.index(0), count, 1, [&](Emit &e, Value n) {
          SmallVector<Value> values;
          for (int64_t i = 0; i < unitGroups_; ++i) {
            SmallVector<Value> sum{e.add(e.mul(n, e.index(unitGroups_)), e.index(i)), m, e.index(0)};
            values.push_back(e.load(sums[0], sum));
            if (!gated_)
              continue;
            auto row = [&](size_t) {
              return e.mul(e.add(e.mul(e.add(from, n), e.index(unitGroups_)), e.index(i)), e.index(kGroupRows));
            };
            values.back() =
                gated(e, biased(e, values.back(), 0, units, row, 0), biased(e, e.load(sums[1], sum), 1, units, row, 0));
          }
          finish(e, out, e.add(from, n), units, resultRow(e, rows, e.add(at, m)), values);
        });
      });
    });
  });
}

/// Row groups [group, group + groups) × rows [at, at + height): a vector each, by row group, then row.
SmallVector<Value> ProductLoops::accumulators(Emit &e, size_t weight, Value group, int64_t groups, const Rows &rows, Value at,
                                              int64_t height) {
  const FormatTraits &format = formatOf(weight);
  Value buffer = op_.getWeights()[weight];
  int64_t lanes = wide_ || !format.quantized ? 16 : 8;
  int64_t ahead = format.quantized && height < kTallTile ? prefetchBytes_ : 0;
  auto tile = e.b.create<TileProductOp>(e.loc, SmallVector<Type>(groups * height, e.lanesType()), op_.getInput(), at, buffer,
                                        group, rows.inputs, lanes, groups, ahead);
  return SmallVector<Value>(tile.getAccumulators());
}

LogicalResult heddle::emitLinear(LinearOp op, Emit &e, const LoopShape &shape) {
  ProductLoops(op, shape).emit(e);
  return success();
}
