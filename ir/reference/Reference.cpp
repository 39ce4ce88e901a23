//===- Reference.cpp - runs a function on every rank ----------------------------------------------------------------===//
#include "ir/reference/Reference.h"
#include "ir/reference/Interpreter.h"
#include <cstring>
#include <thread>

using namespace mlir;
using namespace heddle;
using namespace heddle::reference;

struct Reference::Implementation {
  Implementation(ModuleOp m, Mode mode, const WeightSource &w, int ranks)
      : module(m), symbols(m), weights(w), kernels(makeKernels(mode, w)), states(static_cast<size_t>(ranks)) {
    clear();
  }
  void clear() {
    for (RankStates &rank : states)
      for (auto &[name, op] : symbols.states)
        if (op.getKind() == ir::StateKind::Recurrent)
          rank.rows[name] = {op.layerCount(), static_cast<int64_t>(op.getFeatures())};
        else
          clearKeys(rank, name, op);
  }
  /// What a transient state holds is gone after a step.
  void clearTransient() {
    for (RankStates &rank : states)
      for (auto &[name, op] : symbols.states)
        if (op.getKind() == ir::StateKind::Transient)
          clearKeys(rank, name, op);
  }
  static void clearKeys(RankStates &rank, StringRef name, ir::StateOp op) {
    ir::KvGeometry g = op.geometry();
    rank.keys[name] = {g.layers, g.kvHeads, g.headDim, g.type == ir::CacheType::Q8};
  }

  ModuleOp module;
  Symbols symbols;
  const WeightSource &weights;
  std::unique_ptr<Kernels> kernels;
  std::vector<RankStates> states; // by rank
};

Reference::Reference(ModuleOp module, Mode mode, const WeightSource &weights, int ranks)
    : impl_(std::make_unique<Implementation>(module, mode, weights, std::max(ranks, 1))) {}
Reference::~Reference() = default;
void Reference::clear() { impl_->clear(); }

template <class Real> static bool sameReals(const Tensor &a, const Tensor &b) {
  const Real *x = reals<Real>(a), *y = reals<Real>(b);
  if (!x || !y)
    return true;
  for (int64_t i = 0, n = a.rows() * a.columns(); i < n; ++i)
    if (!(x[i] != x[i]) && std::memcmp(x + i, y + i, sizeof(Real)))
      return false;
  return true;
}
/// Where rank 0 has a NaN the result is lost anyway, and visibly so.
static bool same(const Tensor &a, const Tensor &b) {
  return a.shape == b.shape && a.data.index() == b.data.index() && sameReals<float>(a, b) && sameReals<double>(a, b);
}

/// Null for a list that was not given.
static TensorPtr integers(const std::vector<int32_t> &values, bool given = false) {
  if (values.empty() && !given)
    return nullptr;
  auto n = static_cast<int64_t>(values.size());
  auto t = std::make_shared<Tensor>();
  t->shape = {n};
  t->valid = {0, n};
  t->data = values;
  return t;
}

FailureOr<std::vector<TensorPtr>> Reference::call(std::string_view name, std::vector<Tensor> arguments, const Batch &b) {
  StringRef symbol(name.data(), name.size());
  func::FuncOp function = impl_->symbols.functions.lookup(symbol);
  if (!function)
    return impl_->module.emitError() << "has no function @" << symbol;
  std::vector<TensorPtr> shared;
  for (Tensor &t : arguments)
    shared.push_back(std::make_shared<const Tensor>(std::move(t)));
  int ranks = static_cast<int>(impl_->states.size());
  int64_t context = b.context;
  for (size_t t = 0; !b.context && t < b.positions.size(); ++t)
    context = std::max<int64_t>(context, b.positions[t] + 1);
  std::vector<int32_t> first, last; // token of each sequence
  for (size_t t = 0; t < b.sequences.size(); ++t) {
    if (t == 0 || b.sequences[t] != b.sequences[t - 1])
      first.push_back(static_cast<int32_t>(t)), last.push_back(0);
    last.back() = static_cast<int32_t>(t);
  }
  BatchTensors batch{integers(b.ids),
                     integers(b.positions),
                     integers(b.sequences),
                     integers(b.rows, !b.ids.empty()),
                     integers(first),
                     integers(last),
                     integers(b.types.empty() ? std::vector<int32_t>(b.sequences.size()) : b.types),
                     {integers(b.pageTable), nullptr, b.pageWidth},
                     context};
  for (auto &[state, table] : b.states)
    batch.own[state] = {integers(table.pages), integers(table.lengths), table.width};
  impl_->clearTransient();

  Exchange exchange(ranks);
  std::vector<FailureOr<std::vector<TensorPtr>>> results(static_cast<size_t>(ranks));
  auto runRank = [&](int rank) {
    Interpreter interpreter(impl_->symbols, *impl_->kernels, impl_->weights, exchange, impl_->states[static_cast<size_t>(rank)],
                            {rank, ranks}, batch);
    results[static_cast<size_t>(rank)] = interpreter.run(function, shared);
  };
  std::vector<std::thread> threads;
  for (int rank = 1; rank < ranks; ++rank)
    threads.emplace_back(runRank, rank);
  runRank(0);
  for (std::thread &thread : threads)
    thread.join();

  for (auto &result : results)
    if (failed(result))
      return failure(); // said by the rank that failed first
  for (size_t rank = 1; rank < results.size(); ++rank)
    for (auto [i, value] : llvm::enumerate(*results[rank]))
      if (!same(*(*results[0])[i], *value))
        return function.emitOpError() << "result " << i << " differs between rank 0 and rank " << rank;
  return std::move(*results[0]);
}

// ---- entries ----

/// What a state that an entry acts on lacks in a batch; empty: nothing.
static std::string problemOf(const Batch &b, StringRef name, ir::StateKind kind, ir::Access access) {
  if (kind == ir::StateKind::Transient) {
    for (size_t t = 0; t < b.positions.size(); ++t)
      if (bool first = t == 0 || b.sequences[t] != b.sequences[t - 1]; b.positions[t] != (first ? 0 : b.positions[t - 1] + 1))
        return ("token " + Twine(t) + " does not follow the one before, but @" + name +
                " needs sequences whole, from position 0 on")
            .str();
    return {};
  }
  auto own = b.states.find(name.str());
  const StateTable table = own != b.states.end() ? own->second : StateTable{b.pageTable, b.pageWidth};
  if (table.width <= 0 || table.pages.size() % static_cast<size_t>(table.width))
    return "page table is no multiple of its width";
  auto sequences = static_cast<int64_t>(table.pages.size()) / table.width;
  const bool lengths = kind == ir::StateKind::Fixed && access == ir::Access::Read, rows = kind == ir::StateKind::Recurrent;
  for (size_t t = 0; t < b.ids.size(); ++t) {
    int64_t sequence = b.sequences[t];
    if (rows && t && sequence == b.sequences[t - 1] && b.positions[t] <= b.positions[t - 1])
      return ("token " + Twine(t) + " comes after a later one of its sequence").str();
    if (sequence >= sequences)
      return ("token " + Twine(t) + " is of no sequence of the page table").str();
    if (lengths && (static_cast<size_t>(sequence) >= table.lengths.size() || table.lengths[static_cast<size_t>(sequence)] < 1))
      return ("token " + Twine(t) + " is of a sequence without a length in @" + name).str();
    int64_t last = rows ? 0 : (lengths ? table.lengths[static_cast<size_t>(sequence)] - 1 : b.positions[t]) / kChunk;
    if (last >= table.width)
      return ("token " + Twine(t) + " stands at a position without a page").str();
    if (table.pages[static_cast<size_t>(sequence * table.width + last)] < 0)
      return ("token " + Twine(t) + " has a negative page").str();
  }
  return {};
}

FailureOr<std::vector<TensorPtr>> Reference::run(std::string_view name, const Batch &b) {
  StringRef symbol(name.data(), name.size());
  func::FuncOp function = impl_->symbols.functions.lookup(symbol);
  if (!function || !function.isPublic() || function.getNumArguments())
    return impl_->module.emitError() << "has no entry @" << symbol << ": a public function without arguments";
  auto bad = [&](const Twine &what) { return function.emitOpError() << "bad batch: " << what; };
  size_t tokens = b.ids.size();
  if (b.positions.size() != tokens || b.sequences.size() != tokens)
    return bad("ids, positions and sequences differ in length");
  if (!b.types.empty() && b.types.size() != tokens)
    return bad("types and ids differ in length");
  for (size_t t = 0; t < tokens; ++t)
    if (b.positions[t] < 0 || b.sequences[t] < 0)
      return bad("token " + Twine(t) + " has a negative position or sequence");
  for (const ir::StateAccess &access : ir::stateAccesses(function)) {
    StringRef name = access.state.getValue();
    ir::StateKind kind = impl_->symbols.states.lookup(name).getKind();
    if (std::string problem = problemOf(b, name, kind, access.access); !problem.empty())
      return bad(problem);
  }
  for (int32_t row : b.rows)
    if (row < 0 || static_cast<size_t>(row) >= tokens)
      return bad("row " + Twine(row) + " is not one of the " + Twine(tokens) + " tokens");
  return call(name, {}, b);
}

FailureOr<TensorPtr> Reference::runFor(std::string_view name, const Batch &batch) {
  FailureOr<std::vector<TensorPtr>> results = run(name, batch);
  if (failed(results))
    return failure();
  if (results->size() != 1)
    return impl_->module.emitError() << "entry @" << StringRef(name.data(), name.size()) << " has " << results->size()
                                     << " results, not one";
  return results->front();
}
