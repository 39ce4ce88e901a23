//===- RunChecks.cpp - runs the functions that hold expectations ----------------------------------------------------===//
//
//   func.func @halves() {                                func.func @halves(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
//     %x = check.input dense<…> -> tensor<?x2xf32>          %y = heddle.scale %x by 0.5 …
//     %y = heddle.scale %x by 0.5 …                     →   return %y
//     check.expect_bits %y is dense<…>                    }
//     return
//   }
//
// The interpreter knows nothing of expectations: on a copy of the module constants become arguments and expected values results,
// and what comes back is compared here.
//===---------------------------------------------------------------------------------------------------------------===//
#include "ir/check/Check.h"
#include "ir/dialect/Dialect.h"
#include "ir/reference/PackedWeightSource.h"
#include "ir/reference/Reference.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Format.h"
#include <bit>
#include <cmath>

using namespace mlir;
using namespace heddle;
using namespace heddle::check;
using reference::Mode, reference::Tensor;

namespace {

/// One expectation, apart from the op that said it.
struct Expectation {
  Location at;
  StringRef op, maker; // names: of the expectation, of the op that made its value
  std::optional<Meaning> meaning;
  bool bits = false;
  double tolerance = 0;
  size_t value = 0;           // index of the result that it is about
  std::optional<size_t> same; // index of the result that must be the same, or
  DenseElementsAttr expected;

  bool isAbout(Mode mode) const { return !meaning || (*meaning == Meaning::Exact) == (mode == Mode::exact); }
};

/// A function made ready to be called.
struct Test {
  std::string function;
  SmallVector<DenseElementsAttr> inputs;
  reference::Batch batch;
  SmallVector<Expectation> expectations;
};

template <class To, class From> std::vector<To> elementsOf(DenseElementsAttr attr) {
  std::vector<To> out;
  for (From value : attr.getValues<From>())
    out.push_back(static_cast<To>(value));
  return out;
}

Tensor inputOf(DenseElementsAttr attr, Mode mode) {
  Tensor t;
  t.shape.assign(attr.getType().getShape().begin(), attr.getType().getShape().end());
  t.valid = {0, t.columns()};
  if (attr.getElementType().isInteger(32))
    t.data = elementsOf<int32_t, int32_t>(attr);
  else if (mode == Mode::exact)
    t.data = elementsOf<double, float>(attr);
  else
    t.data = elementsOf<float, float>(attr);
  return t;
}

// ---- comparing ----

/// The elements as numbers; of q8, what they stand for.
std::vector<double> numbersOf(const Tensor &t) {
  if (const auto *x = t.as<std::vector<double>>())
    return *x;
  if (const auto *x = t.as<std::vector<float>>())
    return {x->begin(), x->end()};
  if (const auto *x = t.as<std::vector<int32_t>>())
    return {x->begin(), x->end()};
  std::vector<double> out;
  if (const auto *x = t.as<reference::Q8Rows>())
    for (size_t i = 0; i < x->q.size(); ++i)
      out.push_back(static_cast<double>(x->q[i]) * static_cast<double>(x->d[i / reference::kQ8Block]));
  return out;
}

bool hasSameBits(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }
bool isNear(double a, double b, double tolerance) {
  return a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= tolerance;
}

std::string joined(const std::vector<int64_t> &numbers, StringRef between) {
  std::string text;
  for (int64_t n : numbers)
    text += (text.empty() ? "" : between.str()) + std::to_string(n);
  return text;
}

/// [row, column] of an element.
std::string place(const std::vector<int64_t> &shape, size_t i) {
  std::vector<int64_t> at(shape.size());
  auto rest = static_cast<int64_t>(i);
  for (size_t d = shape.size(); d-- > 0; rest /= shape[d])
    at[d] = rest % shape[d];
  return "[" + joined(at, ", ") + "]";
}

std::string show(double x, Mode mode, bool bits) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << llvm::format(mode == Mode::exact ? "%.17g" : "%.9g", x);
  if (bits)
    out << llvm::format(" (0x%08X)", std::bit_cast<uint32_t>(static_cast<float>(x)));
  return text;
}

/// Reports the first element that is not as expected, and how many are not.
LogicalResult compare(const Expectation &e, const std::vector<reference::TensorPtr> &results, Mode mode, int64_t ranks) {
  const Tensor &found = *results[e.value];
  std::vector<double> numbers = numbersOf(found), expected;
  std::vector<int64_t> shape;
  if (e.same) {
    expected = numbersOf(*results[*e.same]), shape = results[*e.same]->shape;
  } else {
    shape = e.expected.getType().getShape().vec();
    expected =
        e.expected.getElementType().isF64() ? elementsOf<double, double>(e.expected) : elementsOf<double, float>(e.expected);
  }
  auto error = [&] {
    InFlightDiagnostic d = emitError(e.at);
    d << "'" << e.op << "' failed in " << (mode == Mode::exact ? "exact mathematics" : "the one arithmetic") << " on " << ranks
      << (ranks == 1 ? " rank: " : " ranks: ") << e.maker;
    return d;
  };
  if (found.shape != shape)
    return error() << " gives " << joined(found.shape, "x") << " elements where " << joined(shape, "x") << " are expected";
  size_t wrong = 0, first = 0;
  for (size_t i = numbers.size(); i-- > 0;)
    if (e.bits || e.same ? !hasSameBits(numbers[i], expected[i]) : !isNear(numbers[i], expected[i], e.tolerance))
      ++wrong, first = i;
  if (!wrong)
    return success();
  bool bits = e.bits || (e.same && mode == Mode::oneArithmetic);
  auto d = error() << " gives " << show(numbers[first], mode, bits) << " at " << place(shape, first) << ", expected "
                   << show(expected[first], mode, bits);
  if (!e.bits && !e.same)
    d << " within " << show(e.tolerance, Mode::oneArithmetic, false);
  return d << "; " << wrong << " of " << numbers.size() << " elements differ";
}

// ---- from a module to tests ----

/// Takes the check ops out of a function, and says in the function's type what they were about.
Test prepare(func::FuncOp function) {
  Test test{function.getName().str(), {}, {}, {}};
  Operation *end = function.getBody().front().getTerminator();
  llvm::MapVector<Value, size_t> wanted;
  auto want = [&](Value value) { return wanted.try_emplace(value, wanted.size()).first->second; };
  auto makerOf = [](Value value) {
    Operation *op = value.getDefiningOp();
    return op ? op->getName().getStringRef() : "an argument";
  };
  SmallVector<Operation *> done;
  for (Operation &op : function.getBody().front()) {
    Expectation e{op.getLoc(), op.getName().getStringRef(), {}, {}, false, 0, 0, {}, {}};
    bool known = llvm::TypeSwitch<Operation *, bool>(&op)
                     .Case([&](ExpectEqOp eq) {
                       e.value = want(eq.getLhs()), e.same = want(eq.getRhs()), e.meaning = eq.getMeaning();
                       e.maker = makerOf(eq.getLhs());
                       return true;
                     })
                     .Case([&](ExpectAlmostEqOp near) {
                       e.value = want(near.getValue()), e.expected = cast<DenseElementsAttr>(near.getExpected());
                       e.tolerance = near.getTolerance().convertToDouble(), e.meaning = near.getMeaning();
                       e.maker = makerOf(near.getValue());
                       return true;
                     })
                     .Case([&](ExpectBitsOp bits) {
                       e.value = want(bits.getValue()), e.expected = cast<DenseElementsAttr>(bits.getExpected());
                       e.bits = true, e.meaning = Meaning::One;
                       e.maker = makerOf(bits.getValue());
                       return true;
                     })
                     .Default([](Operation *) { return false; });
    if (known)
      test.expectations.push_back(e);
    if (auto batch = dyn_cast<BatchOp>(op)) {
      auto list = [](std::optional<ArrayRef<int32_t>> given) { return given ? given->vec() : std::vector<int32_t>(); };
      test.batch = {list(batch.getIds()),   list(batch.getPositions()), list(batch.getSequences()),
                    list(batch.getPages()), list(batch.getRows()),      static_cast<int64_t>(batch.getPageWidth())};
      test.batch.types = list(batch.getTypes());
    }
    if (known || isa<BatchOp, InputOp>(op))
      done.push_back(&op);
  }
  auto results = llvm::to_vector(llvm::make_first_range(wanted));
  end->setOperands(results);
  for (Operation *op : done) {
    if (auto input = dyn_cast<InputOp>(op)) {
      test.inputs.push_back(cast<DenseElementsAttr>(input.getValue()));
      input.getResult().replaceAllUsesWith(function.getBody().addArgument(input.getResult().getType(), input.getLoc()));
    }
    op->erase();
  }
  function.setType(FunctionType::get(function.getContext(), function.getBody().getArgumentTypes(), end->getOperandTypes()));
  return test;
}

/// The bytes of a weight's rows in its format.
std::vector<std::byte> bytesOf(DenseElementsAttr data) {
  ArrayRef<char> raw = data.getRawData();
  int64_t copies = data.isSplat() ? data.getNumElements() : 1;
  std::vector<std::byte> out;
  for (int64_t i = 0; i < copies; ++i)
    for (char c : raw)
      out.push_back(static_cast<std::byte>(c));
  return out;
}

reference::PackedWeightSource weightsOf(ModuleOp module) {
  reference::PackedWeightSource weights;
  for (auto given : module.getOps<WeightOp>()) {
    auto type =
        cast<RankedTensorType>(SymbolTable::lookupNearestSymbolFrom<ir::WeightOp>(module, given.getWeightAttr()).getType());
    StringRef format = ir::formatName(type.getElementType());
    weights.add(given.getWeight().str(), *formatByName({format.data(), format.size()}),
                type.getRank() == 2 ? type.getDimSize(0) : 1, ir::lastDim(type),
                bytesOf(cast<DenseElementsAttr>(given.getData())));
  }
  return weights;
}

struct RunChecks : PassWrapper<RunChecks, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RunChecks)
  RunChecks() = default;
  RunChecks(const RunChecks &other) : PassWrapper(other) {
    ranks = other.ranks;
    only = other.only.getValue();
  }
  StringRef getArgument() const final { return "heddle-run-checks"; }
  StringRef getDescription() const final { return "run functions with check.expect_… ops in the reference interpreter"; }

  ListOption<int64_t> ranks{*this, "ranks",
                            llvm::cl::desc("how many ranks to run on, one after the other; 1 where none is given")};
  Option<std::string> only{*this, "meaning", llvm::cl::desc("exact or one: expectations of that meaning alone"),
                           llvm::cl::init("")};

  void runOnOperation() override {
    std::optional<Meaning> meaning = symbolizeMeaning(only);
    if (!meaning && !only.empty()) {
      getOperation().emitError("heddle-run-checks: meaning must be exact or one, not ") << only.getValue();
      return signalPassFailure();
    }
    OwningOpRef<ModuleOp> copy = getOperation().clone();
    std::vector<Test> tests;
    for (auto function : llvm::to_vector(copy->getOps<func::FuncOp>())) {
      if (function.isExternal())
        continue;
      if (Test test = prepare(function); !test.expectations.empty())
        tests.push_back(std::move(test));
    }
    if (tests.empty()) {
      getOperation().emitError("no function here expects anything: a test needs check.expect_… ops");
      return signalPassFailure();
    }
    reference::PackedWeightSource weights = weightsOf(*copy);
    SmallVector<int64_t> counts(ranks.begin(), ranks.end());
    if (counts.empty())
      counts.push_back(1);
    for (int64_t count : counts)
      for (Mode mode : {Mode::exact, Mode::oneArithmetic})
        for (const Test &test : tests)
          if ((!meaning || (*meaning == Meaning::Exact) == (mode == Mode::exact)) &&
              failed(run(test, *copy, mode, weights, count)))
            signalPassFailure();
  }

  static LogicalResult run(const Test &test, ModuleOp module, Mode mode, const reference::PackedWeightSource &weights,
                           int64_t ranks) {
    if (llvm::none_of(test.expectations, [&](const Expectation &e) { return e.isAbout(mode); }))
      return success();
    std::vector<Tensor> arguments;
    for (DenseElementsAttr input : test.inputs)
      arguments.push_back(inputOf(input, mode));
    reference::Reference reference(module, mode, weights, static_cast<int>(ranks));
    auto results = reference.call(test.function, std::move(arguments), test.batch);
    if (failed(results))
      return failure(); // said at the op that failed
    bool held = true;
    for (const Expectation &e : test.expectations)
      if (e.isAbout(mode) && failed(compare(e, *results, mode, ranks)))
        held = false;
    return success(held);
  }
};
} // namespace

std::unique_ptr<Pass> heddle::check::createRunChecksPass() { return std::make_unique<RunChecks>(); }
