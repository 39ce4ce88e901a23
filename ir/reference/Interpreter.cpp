//===- Interpreter.cpp - the walk, and the ops that are not about attention -----------------------------------------===//
#include "ir/reference/Interpreter.h"
#include "ir/dialect/Verify.h"
#include "runtime/plan/Share.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::reference;

Symbols::Symbols(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    functions[function.getName()] = function;
  for (auto state : module.getOps<ir::StateOp>())
    states[state.getSymName()] = state;
  for (auto table : module.getOps<ir::RopeTableOp>()) {
    Rope rope{
        static_cast<int64_t>(table.getDims()), table.getBase().convertToDouble(), table.getLinearScale().convertToDouble(), {}};
    if (auto magnitude = table.getMagnitude())
      rope.magnitude = magnitude->convertToDouble();
    RopeTables both{rope, rope};
    if (auto factors = table.getFactors())
      both.usual.factors.assign(factors->begin(), factors->end());
    if (auto factors = table.getLongFactors()) {
      both.beyond.factors.assign(factors->begin(), factors->end());
      both.original = static_cast<int64_t>(*table.getOriginal());
    }
    ropes[table.getSymName()] = std::move(both);
  }
}

const Rope *Symbols::rope(StringRef name, int64_t context) const {
  auto found = ropes.find(name);
  if (found == ropes.end())
    return nullptr;
  return context > found->second.original ? &found->second.beyond : &found->second.usual;
}

// ---- plumbing ----

LogicalResult Interpreter::fail(Operation *op, const Twine &what) {
  if (exchange_.fail())
    op->emitOpError() << "on rank " << rank_.index << " of " << rank_.ranks << ": " << what;
  return failure();
}

LogicalResult Interpreter::bind(Operation *op, Problem problem, std::vector<Tensor> results, Frame &frame) {
  if (!problem.empty())
    return fail(op, problem);
  for (auto [result, tensor] : llvm::zip_equal(op->getResults(), results)) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    for (int64_t d = 0; type && d < type.getRank(); ++d)
      if (!type.isDynamicDim(d) && type.getDimSize(d) != tensor.shape[static_cast<size_t>(d)])
        return fail(op, "computes a dimension of " + Twine(tensor.shape[static_cast<size_t>(d)]) +
                            " where its result type says " + Twine(type.getDimSize(d)));
    frame[result] = std::make_shared<const Tensor>(std::move(tensor));
  }
  return success();
}
LogicalResult Interpreter::bind(Operation *op, Problem problem, Tensor result, Frame &frame) {
  std::vector<Tensor> results;
  results.push_back(std::move(result));
  return bind(op, std::move(problem), std::move(results), frame);
}

int64_t Interpreter::index(Value value, Frame &frame) const {
  const auto *i = at(value, frame).as<int64_t>();
  return i ? *i : -1;
}

static Tensor indexTensor(int64_t value) {
  Tensor t;
  t.valid = {0, 1};
  t.data = value;
  return t;
}

FailureOr<std::vector<TensorPtr>> Interpreter::run(func::FuncOp function, std::vector<TensorPtr> arguments) {
  if (function.isExternal())
    return fail(function, "has no body");
  if (arguments.size() != function.getNumArguments())
    return fail(function, "takes " + Twine(function.getNumArguments()) + " arguments, not " + Twine(arguments.size()));
  if (depth_ == 16)
    return fail(function, "calls itself");
  ++depth_;
  Frame frame;
  for (auto [parameter, argument] : llvm::zip_equal(function.getArguments(), arguments))
    frame[parameter] = argument;
  for (Operation &op : function.getBody().front()) {
    if (auto result = dyn_cast<func::ReturnOp>(op)) {
      --depth_;
      std::vector<TensorPtr> values;
      for (Value value : result.getOperands())
        values.push_back(frame.at(value));
      return values;
    }
    if (failed(visit(op, frame)))
      return failure();
  }
  return fail(function, "does not return");
}

LogicalResult Interpreter::visit(Operation &op, Frame &frame) {
  for (Value operand : op.getOperands())
    if (isa<MemRefType>(operand.getType()))
      return fail(&op, "acts on buffers: only stages graph, fused and sharded are interpreted");
  llvm::TypeSwitch<Operation *, LogicalResult> known(&op);
#define HEDDLE_CASE(Op) known.Case([&](Op one) { return visit(one, frame); });
  HEDDLE_INTERPRETED(HEDDLE_CASE)
#undef HEDDLE_CASE
  return known.Default([&](Operation *other) -> LogicalResult {
    auto value = other->getAttrOfType<IntegerAttr>("value"); // arith.constant, without arith's headers
    if (other->getName().getStringRef() == "arith.constant" && value && other->getResult(0).getType().isIndex())
      return bind(other, {}, indexTensor(value.getInt()), frame);
    return fail(other, "is no tensor op: only stages graph, fused and sharded are interpreted");
  });
}

LogicalResult Interpreter::visit(func::CallOp op, Frame &frame) {
  std::vector<TensorPtr> arguments;
  for (Value operand : op.getOperands())
    arguments.push_back(frame.at(operand));
  FailureOr<std::vector<TensorPtr>> results = run(symbols_.functions.lookup(op.getCallee()), std::move(arguments));
  if (failed(results))
    return failure();
  for (auto [result, value] : llvm::zip_equal(op.getResults(), *results))
    frame[result] = value;
  return success();
}

// ---- model ops ----

LogicalResult Interpreter::visit(ir::BatchOp op, Frame &frame) {
  TensorPtr list = [&] {
    switch (op.getList()) {
    case ir::BatchList::Ids:
      return batch_.ids;
    case ir::BatchList::Positions:
      return batch_.positions;
    case ir::BatchList::Sequences:
      return batch_.sequences;
    case ir::BatchList::Wanted:
      return batch_.wanted;
    case ir::BatchList::First:
      return batch_.first;
    case ir::BatchList::Last:
      return batch_.last;
    case ir::BatchList::Types:
      return batch_.types;
    }
  }();
  if (!list)
    return fail(op, "this run has no batch with that list");
  frame[op.getResult()] = std::move(list);
  return success();
}

LogicalResult Interpreter::visit(ir::GetOp op, Frame &frame) {
  auto type = cast<RankedTensorType>(op.getType());
  std::optional<WeightShape> shape = weights_.shape(op.getWeight());
  if (!shape)
    return fail(op, "has no data for weight @" + op.getWeight());
  int64_t columns = ir::lastDim(type), rows = type.getNumElements() / std::max<int64_t>(columns, 1);
  if (shape->rows != rows || shape->columns != columns || shape->quantized != ir::isQuantized(type.getElementType()))
    return fail(op, "weight @" + op.getWeight() + " has data of another shape or kind: " + Twine(shape->rows) + " × " +
                        Twine(shape->columns) + (shape->quantized ? " quantised" : " floats"));
  Tensor t;
  t.shape.assign(type.getShape().begin(), type.getShape().end());
  t.valid = {0, columns};
  t.data = WeightRef{op.getWeight().str(), shape->quantized};
  return bind(op, {}, std::move(t), frame);
}

LogicalResult Interpreter::visit(ir::EmbedOp op, Frame &frame) {
  Tensor out;
  std::optional<float> scale = op.getScale() ? std::optional(op.getScale()->convertToFloat()) : std::nullopt;
  Problem problem = kernels_.embed(at(op.getIds(), frame), at(op.getTable(), frame), scale, out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::SelectRowsOp op, Frame &frame) {
  Tensor out;
  Problem problem = kernels_.selectRows(at(op.getInput(), frame), at(op.getRows(), frame), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::AddOp op, Frame &frame) {
  Tensor out;
  Problem problem = kernels_.add(at(op.getLhs(), frame), at(op.getRhs(), frame), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::MulOp op, Frame &frame) {
  Tensor out;
  Problem problem = kernels_.mul(at(op.getLhs(), frame), at(op.getRhs(), frame), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

static Function function(ir::Activation a) {
  switch (a) {
  case ir::Activation::Silu:
    return Function::silu;
  case ir::Activation::GeluTanh:
    return Function::geluTanh;
  case ir::Activation::OssGate:
    return Function::ossGate;
  case ir::Activation::OssUp:
    return Function::ossUp;
  case ir::Activation::Gelu:
    return Function::gelu;
  case ir::Activation::Relu:
    return Function::relu;
  case ir::Activation::Tanh:
    return Function::tanh;
  }
  llvm_unreachable("an activation function of no kind");
}

LogicalResult Interpreter::visit(ir::ActivateOp op, Frame &frame) {
  Tensor out;
  Problem problem = kernels_.activate(function(op.getFunction()), at(op.getInput(), frame), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::ScaleOp op, Frame &frame) {
  Tensor out;
  Problem problem = kernels_.scale(op.getBy().convertToFloat(), at(op.getInput(), frame), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

// ---- products and norms ----

LogicalResult Interpreter::visit(ir::LinearOp op, Frame &frame) {
  LinearCall call{.input = &at(op.getInput(), frame),
                  .weights = {},
                  .biases = {},
                  .outputs = {},
                  .residual = maybe(op.getResidual(), frame),
                  .experts = maybe(op.getExperts(), frame),
                  .byChoice = op.getByChoice(),
                  .gate = {},
                  .activation = {},
                  .up = {},
                  .scale = {},
                  .q8Result = ir::isQ8(op.getResult(0).getType())};
  for (Value bias : op.getBiases())
    call.biases.push_back(&at(bias, frame));
  if (op.getGate())
    call.gate = function(*op.getGate());
  if (op.getUp())
    call.up = function(*op.getUp());
  if (op.getActivation())
    call.activation = function(*op.getActivation());
  if (op.getScale())
    call.scale = op.getScale()->convertToFloat();
  for (auto [i, weight] : llvm::enumerate(op.getWeights())) {
    call.weights.push_back(&at(weight, frame));
    auto type = cast<RankedTensorType>(op.getResult(op.getGate() ? 0 : static_cast<unsigned>(i)).getType());
    if (ir::isQ8(type) != call.q8Result)
      return fail(op, "results must be all f32 or all q8");
    auto shard = dyn_cast_if_present<ir::ShardAttr>(type.getEncoding());
    if (static_cast<bool>(shard) == op.getShares().empty())
      return fail(op, "shares and #heddle.shard results go together");
    int64_t rows = ir::lastDim(type);
    if (!shard) {
      call.outputs.push_back({0, rows});
      continue;
    }
    int64_t begin = index(op.getShares()[2 * i], frame), end = index(op.getShares()[2 * i + 1], frame);
    call.outputs.push_back(
        {std::min(begin * shard.getSize(), rows), std::min(end * shard.getSize(), rows)}); // the last unit may be short
  }
  std::vector<Tensor> out;
  Problem problem = kernels_.linear(call, out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::ChooseExpertsOp op, Frame &frame) {
  std::vector<Tensor> out;
  Problem problem = kernels_.choose(at(op.getScores(), frame), static_cast<int64_t>(op.getChoices()), op.getOverAll(), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::SumExpertsOp op, Frame &frame) {
  Tensor out;
  Problem problem = kernels_.sumExperts(at(op.getInput(), frame), at(op.getWeights(), frame), maybe(op.getResidual(), frame),
                                        ir::isQ8(op.getResult().getType()), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::QuantizeOp op, Frame &frame) {
  Tensor out;
  Problem problem = kernels_.quantize(at(op.getInput(), frame), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::RmsNormOp op, Frame &frame) {
  NormCall call{&at(op.getInput(), frame),    &at(op.getWeight(), frame),           maybe(op.getResidual(), frame),
                op.getEps().convertToFloat(), static_cast<int64_t>(op.getGroups()), ir::isQ8(op.getResult().getType())};
  Tensor out;
  Problem problem = kernels_.norm(call, out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::LayerNormOp op, Frame &frame) {
  NormCall call{&at(op.getInput(), frame), &at(op.getWeight(), frame)};
  call.bias = maybe(op.getBias(), frame), call.centred = true;
  call.eps = op.getEps().convertToFloat(), call.q8Result = ir::isQ8(op.getResult().getType());
  Tensor out;
  Problem problem = kernels_.norm(call, out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::RopeOp op, Frame &frame) {
  const Rope *rope = symbols_.rope(op.getTable(), batch_.context);
  if (!rope)
    return fail(op, "names no declared RoPE table");
  Tensor out;
  if (!batch_.positions)
    return fail(op, "this run has no batch with positions");
  Problem problem = kernels_.rope(at(op.getInput(), frame), *batch_.positions, *rope, op.getStyle() == ir::RopeStyle::Interleaved,
                                  static_cast<int64_t>(op.getHeads()), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::RecurrenceOp op, Frame &frame) {
  const TensorPtr &rows = batch_.tables(op.getState()).pageTable;
  if (!batch_.sequences || !rows)
    return fail(op, "this run has no batch with sequences and their rows of @" + op.getState());
  RecurrenceCall call{&at(op.getKeep(), frame),
                      &at(op.getInput(), frame),
                      batch_.sequences.get(),
                      rows.get(),
                      &states_.rows.find(op.getState())->second,
                      index(op.getLayer(), frame)};
  if (call.layer < 0 || call.layer >= call.state->layers())
    return fail(op, "layer " + Twine(call.layer) + " is outside the state");
  int64_t features = call.state->features();
  call.columns = {0, features};
  if (!op.getShares().empty()) // the last unit may be short
    call.columns = {std::min(index(op.getShares()[0], frame) * ir::RecurrenceOp::kUnit, features),
                    std::min(index(op.getShares()[1], frame) * ir::RecurrenceOp::kUnit, features)};
  Tensor out;
  Problem problem = kernels_.recurrence(call, out);
  return bind(op, std::move(problem), std::move(out), frame);
}

// ---- pooling ----

LogicalResult Interpreter::visit(ir::MeanRowsOp op, Frame &frame) {
  Tensor out;
  Problem problem = kernels_.meanRows(at(op.getInput(), frame), at(op.getFirst(), frame), at(op.getLast(), frame), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::NormalizeOp op, Frame &frame) {
  Tensor out;
  Problem problem = kernels_.normalize(at(op.getInput(), frame), op.getEps().convertToFloat(), out);
  return bind(op, std::move(problem), std::move(out), frame);
}

// ---- ranks ----

LogicalResult Interpreter::visit(ir::ShareOp op, Frame &frame) {
  Share s = share(static_cast<int64_t>(op.getUnits()), rank_.index, rank_.ranks);
  if (op.getGroup())
    s = kvShare(s, static_cast<int64_t>(*op.getGroup()));
  std::vector<Tensor> out;
  out.push_back(indexTensor(s.begin));
  out.push_back(indexTensor(s.end));
  return bind(op, {}, std::move(out), frame);
}

LogicalResult Interpreter::visit(ir::AllGatherOp op, Frame &frame) {
  TensorPtr mine = frame.at(op.getInput());
  auto shard = cast<ir::ShardAttr>(cast<RankedTensorType>(op.getInput().getType()).getEncoding());
  if (shard.getUnit() != ir::Unit::KvHeads) { // KV heads overlap: which ones depends on the query heads
    // The runtime moves the bytes that the type promises: a rank must hold exactly those, unless its value is lost already.
    int64_t columns = mine->columns(), units = (columns + shard.getSize() - 1) / shard.getSize();
    Share s = share(units, rank_.index, rank_.ranks);
    Columns promised{std::min(s.begin * shard.getSize(), columns), std::min(s.end * shard.getSize(), columns)};
    if (mine->valid.size() > 0 && promised != mine->valid)
      return fail(op, "brings columns [" + Twine(mine->valid.begin) + ", " + Twine(mine->valid.end) +
                          ") but its type promises [" + Twine(promised.begin) + ", " + Twine(promised.end) + ")");
  }
  std::vector<TensorPtr> parts = exchange_.all(rank_.index, std::move(mine));
  if (parts.empty())
    return failure();
  Tensor out;
  Problem problem = kernels_.gather(parts, out);
  return bind(op, std::move(problem), std::move(out), frame);
}
