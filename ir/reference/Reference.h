//===- Reference.h - the plain-loop interpreter of stages graph, fused and sharded ----------------------------------===//
//
// Executes a verified module op by op, slowly and readably: the meaning that compiled code is tested against. No MLIR headers
// here.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "ir/reference/Tensor.h"
#include "ir/reference/Weights.h"
#include "llvm/Support/LogicalResult.h"
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace mlir {
class ModuleOp;
}

namespace heddle::reference {

/// Where a state's pages are, or the rows of a recurrent one (of width 1).
struct StateTable {
  std::vector<int32_t> pages; // [S × width]
  int64_t width = 1;
  std::vector<int32_t> lengths = {}; // [S] of a fixed state that is read: positions of each sequence
};

/// The inputs of one step (runtime/plan/Frame.h has the same ones). T tokens, S sequences, R rows.
struct Batch {
  std::vector<int32_t> ids;       // [T]
  std::vector<int32_t> positions; // [T] absolute, in the token's sequence
  std::vector<int32_t> sequences; // [T] row of the page table
  std::vector<int32_t> pageTable; // [S × pageWidth] page of each 64-position chunk, of every state that `states` does not name
  std::vector<int32_t> rows;      // [R] tokens whose logits are wanted
  int64_t pageWidth = 1;
  std::map<std::string, StateTable> states = {};
  std::vector<int32_t> types = {}; // [T] the part of a text that a token belongs to; none: 0
  int64_t context = 0;             // positions that are served, by which RoPE tables are chosen; 0: those of this step
};

/// Lifecycle: holds references to the module and the weights, which must outlive it and stay unchanged; owns the states of all
/// ranks, which live from step to step until `clear`. One thread at a time may call it; inside, every rank is a thread. Errors
/// are emitted as diagnostics at the op that found them.
class Reference {
public:
  Reference(mlir::ModuleOp module, Mode mode, const WeightSource &weights, int ranks = 1);
  ~Reference();
  Reference(const Reference &) = delete;
  Reference &operator=(const Reference &) = delete;

  /// Runs the entry `name` on every rank, after checking the batch. Its results, as of `call`.
  llvm::FailureOr<std::vector<TensorPtr>> run(std::string_view name, const Batch &batch);
  /// Its only result: floats of the one arithmetic or doubles of exact mathematics.
  llvm::FailureOr<TensorPtr> runFor(std::string_view name, const Batch &batch);

  /// Runs any function on every rank with the same arguments and what `batch` has of a batch, unchecked. The results of rank 0,
  /// after checking that every other rank has the same bits in whatever both hold.
  llvm::FailureOr<std::vector<TensorPtr>> call(std::string_view function, std::vector<Tensor> arguments, const Batch &batch = {});

  /// Forgets all states.
  void clear();

private:
  struct Implementation;
  std::unique_ptr<Implementation> impl_;
};

} // namespace heddle::reference
