//===- Interpreter.h - walks functions op by op for one rank, internal ----------------------------------------------===//
#pragma once
#include "ir/dialect/Dialect.h"
#include "ir/reference/Exchange.h"
#include "ir/reference/Kernels.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace heddle::reference {

/// A table of angles, and the one that takes its place where more than `original` positions are served (LongRoPE).
struct RopeTables {
  Rope usual, beyond;
  int64_t original = INT64_MAX;
};

/// The module's symbols, looked up once. The walk itself must not create types or attributes: ranks run in parallel.
struct Symbols {
  explicit Symbols(mlir::ModuleOp module);
  llvm::StringMap<mlir::func::FuncOp> functions;
  llvm::StringMap<ir::StateOp> states;
  llvm::StringMap<RopeTables> ropes;
  /// Null where none is declared.
  const Rope *rope(llvm::StringRef name, int64_t context) const;
};

/// Where a state's pages are, or its rows.
struct StateTensors {
  TensorPtr pageTable, lengths;
  int64_t pageWidth = 0;
};

/// A step's batch as tensors, shared by all ranks; a list that was not given is null.
struct BatchTensors {
  TensorPtr ids, positions, sequences, wanted, first, last, types;
  StateTensors usual; // of states that `own` does not name
  int64_t context = 0;
  llvm::StringMap<StateTensors> own = {};
  const StateTensors &tables(llvm::StringRef state) const {
    auto found = own.find(state);
    return found == own.end() ? usual : found->second;
  }
};

/// One rank's states, by name.
struct RankStates {
  llvm::StringMap<KvState> keys;
  llvm::StringMap<RecurrentState> rows;
};

/// Every op that is interpreted, but for constants: the one list of them.
#define HEDDLE_INTERPRETED(X)                                                                                                    \
  X(ir::BatchOp)                                                                                                                 \
  X(ir::GetOp)                                                                                                                   \
  X(ir::EmbedOp)                                                                                                                 \
  X(ir::SelectRowsOp)                                                                                                            \
  X(ir::AddOp)                                                                                                                   \
  X(ir::MulOp)                                                                                                                   \
  X(ir::ActivateOp)                                                                                                              \
  X(ir::ScaleOp)                                                                                                                 \
  X(ir::LinearOp)                                                                                                                \
  X(ir::ChooseExpertsOp)                                                                                                         \
  X(ir::SumExpertsOp)                                                                                                            \
  X(ir::QuantizeOp)                                                                                                              \
  X(ir::RmsNormOp)                                                                                                               \
  X(ir::LayerNormOp)                                                                                                             \
  X(ir::RopeOp)                                                                                                                  \
  X(ir::AttentionOp)                                                                                                             \
  X(ir::StoreKvOp)                                                                                                               \
  X(ir::RecurrenceOp)                                                                                                            \
  X(ir::MeanRowsOp)                                                                                                              \
  X(ir::NormalizeOp)                                                                                                             \
  X(ir::ShareOp)                                                                                                                 \
  X(ir::AllGatherOp)                                                                                                             \
  X(mlir::func::CallOp)

/// One rank's walk. Lives for one run; the states outlive it.
class Interpreter {
public:
  struct Rank {
    int index, ranks;
  };
  Interpreter(const Symbols &symbols, const Kernels &kernels, const WeightSource &weights, Exchange &exchange, RankStates &states,
              Rank rank, const BatchTensors &batch)
      : symbols_(symbols), kernels_(kernels), weights_(weights), exchange_(exchange), states_(states), rank_(rank),
        batch_(batch) {}

  /// Fails after an error was emitted by the first rank that failed.
  mlir::FailureOr<std::vector<TensorPtr>> run(mlir::func::FuncOp function, std::vector<TensorPtr> arguments);

private:
  using Frame = llvm::DenseMap<mlir::Value, TensorPtr>;

  mlir::LogicalResult visit(mlir::Operation &op, Frame &frame);
#define HEDDLE_VISIT(Op) mlir::LogicalResult visit(Op op, Frame &frame);
  HEDDLE_INTERPRETED(HEDDLE_VISIT)
#undef HEDDLE_VISIT

  /// Emits, unless another rank already did, and wakes the other ranks.
  mlir::LogicalResult fail(mlir::Operation *op, const llvm::Twine &what);
  /// Binds results, or fails with what is wrong.
  mlir::LogicalResult bind(mlir::Operation *op, Problem problem, std::vector<Tensor> results, Frame &frame);
  mlir::LogicalResult bind(mlir::Operation *op, Problem problem, Tensor result, Frame &frame);

  const Tensor &at(mlir::Value value, Frame &frame) const { return *frame.at(value); }
  const Tensor *maybe(mlir::Value value, Frame &frame) const { return value ? frame.at(value).get() : nullptr; }
  int64_t index(mlir::Value value, Frame &frame) const;
  KvState *keysOf(llvm::StringRef name);
  /// Where the step's tokens stand in a state that `op` acts on, or in none.
  mlir::FailureOr<Placement> placeIn(mlir::Operation *op, std::optional<llvm::StringRef> state);
  HeadPrologue prologue(mlir::Value norm, std::optional<llvm::APFloat> eps, std::optional<llvm::StringRef> rope,
                        std::optional<ir::RopeStyle> style, Frame &frame) const;

  const Symbols &symbols_;
  const Kernels &kernels_;
  const WeightSource &weights_;
  Exchange &exchange_;
  RankStates &states_;
  Rank rank_;
  const BatchTensors &batch_;
  int depth_ = 0; // of calls
};

} // namespace heddle::reference
