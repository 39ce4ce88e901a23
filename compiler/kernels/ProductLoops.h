//===- ProductLoops.h - heddle.linear as loops over register tiles --------------------------------------------------===//
#pragma once
#include "compiler/Passes.h"
#include "compiler/kernels/Emit.h"

namespace heddle {

/// Tokens from which a tile takes more time to multiply than to read.
constexpr int64_t kTallTile = 4;

/// The loops of one `heddle.linear` on buffers: x [tokens, columns] times packed weights [row groups, bytes], into [tokens, rows]
/// of f32 or q8 blocks. Nothing here fails. Emits IR, owns none; the op must outlive it.
class ProductLoops {
public:
  ProductLoops(ir::LinearOp op, const LoopShape &shape);
  /// Emits this thread's part.
  void emit(Emit e);

private:
  using Value = mlir::Value;
  /// Output units of one weight, in its rows' order: [first, last) is this thread's; `stored` is the one its buffer starts with.
  /// Of an expert, its rows' first bias stands at `bias`.
  struct Units {
    Value first, last, stored, bias = {};
  };
  /// The rows [from, to) that go by: of input and results, or places in a list of the input's and one of the results' rows.
  struct Rows {
    Value from, to, inputs = {}, results = {};
    Value count(Emit &e) const { return e.sub(to, from); }
  };
  void product(Emit e, size_t out, const Units &units, const Rows &rows);
  void byExperts(Emit e);
  std::pair<Value, Value> unitsOfRank(Emit &e, size_t weight);
  llvm::SmallVector<Units> unitsOfThread(Emit &e);
  int64_t unitsOfExpert();
  int64_t unitsOfBlock(size_t out);
  const FormatTraits &formatOf(size_t weight);
  void tiles(Emit &e, size_t out, const Units &units, const Rows &rows, mlir::ArrayRef<int64_t> heights);
  void tile(Emit &e, size_t out, Value unit, const Units &units, int64_t count, const Rows &rows, Value at, int64_t height);
  llvm::SmallVector<Value> accumulators(Emit &e, size_t weight, Value group, int64_t groups, const Rows &rows, Value at,
                                        int64_t height);
  void panels(Emit &e, size_t out, const Units &units, const Rows &rows);
  static Value resultRow(Emit &e, const Rows &rows, Value at);
  Value gated(Emit &e, Value gate, Value up);
  Value biased(Emit &e, Value v, size_t weight, const Units &units, llvm::function_ref<Value(size_t)> row, size_t i);
  Value loadBias(Emit &e, size_t weight, const Units &units, Value row);
  void finish(Emit &e, size_t out, Value unit, const Units &units, Value token, mlir::ValueRange values);

  ir::LinearOp op_;
  bool wide_, vnni_; // hasWideRegisters, hasVnni
  bool gated_, requantised_;
  int64_t unitGroups_; // row groups of an output unit: 1, or 2 where 32 features are requantised together
  int64_t cacheBytes_, prefetchBytes_;
};

} // namespace heddle
