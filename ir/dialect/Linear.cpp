//===- Linear.cpp - products and requantisation ---------------------------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"
#include <numeric>

using namespace mlir;
using namespace heddle::ir;

void LinearOp::build(OpBuilder &b, OperationState &state, const LinearSpec &spec) {
  auto function = [&](std::optional<Activation> f) { return f ? ActivationAttr::get(b.getContext(), *f) : ActivationAttr(); };
  build(b, state, spec.results, spec.input, spec.weights, spec.biases, spec.experts, spec.residual, spec.shares, ValueRange(),
        function(spec.gate), function(spec.up), function(spec.activation),
        spec.scale ? b.getF32FloatAttr(*spec.scale) : FloatAttr(), DenseI64ArrayAttr(), false, spec.byChoice);
}

/// [N × K] of a weight, or of each in a stack.
static int64_t rowsOfWeight(Value weight) {
  auto type = cast<ShapedType>(weight.getType());
  return type.getDimSize(type.getRank() - 2);
}

LogicalResult LinearOp::verify() {
  if (getWeights().empty())
    return emitOpError("needs at least one weight");
  if (failed(verifyWhole(*this, getInput(), "input")) || failed(verifyWhole(*this, getResidual(), "residual")))
    return failure();
  bool buffers = isa<MemRefType>(getInput().getType());
  ValueRange outputs = buffers ? ValueRange(getOuts()) : ValueRange(getResults());
  if (buffers ? !getResults().empty() : !getOuts().empty())
    return emitOpError("mixes tensors and buffers");
  size_t count = getWeights().size(), expected = getGate() ? 1 : count;
  if (getGate() && count != 2)
    return emitOpError("with a gate needs two weights (gate, up), not ") << count;
  if (outputs.size() != expected)
    return emitOpError("has ") << outputs.size() << " results; its weights make " << expected;
  if (getResidual() && expected != 1)
    return emitOpError("with a residual must have one result");
  if (getUp() && !getGate())
    return emitOpError("with up needs a gate");
  if (getExperts() && getResidual())
    return emitOpError("with experts takes no residual: a choice's row is no token's");
  if (getByChoice() && !getExperts())
    return emitOpError("by_choice needs experts");
  if (getExperts() && expected != 1)
    return emitOpError("with experts must have one result");
  for (Value weight : getWeights())
    if (isExperts(weight.getType()) != static_cast<bool>(getExperts()))
      return emitOpError(getExperts() ? "with experts needs stacks of weights" : "with stacks of weights needs experts");
  if (getActivation() && (getGate() || expected != 1))
    return emitOpError("with an activation must have one result and no gate");
  if (getScale() && (getGate() || expected != 1))
    return emitOpError("with a scale must have one result and no gate");
  if (!getBiases().empty() && getBiases().size() != count)
    return emitOpError("needs one bias per weight or none, not ") << getBiases().size();
  if (!getShares().empty() && getShares().size() != 2 * count)
    return emitOpError("needs one [begin, end) share per weight");
  if (buffers && !getShares().empty() && (!getUnitRows() || getUnitRows()->size() != count))
    return emitOpError("on buffers needs unit_rows for each weight");
  int64_t columns = lastDim(getInput().getType());
  for (auto [i, weight] : llvm::enumerate(getWeights())) {
    auto type = cast<ShapedType>(weight.getType());
    Value out = outputs[getGate() ? 0 : i];
    bool quantized = isQuantized(type.getElementType());
    // Activations in buffers of f32 are padded to whole vectors.
    int64_t needed = buffers && !quantized ? llvm::alignTo(lastDim(type), 16) : lastDim(type);
    if (needed != columns)
      return emitOpError("weight ") << i << " is " << type << "; the input has " << columns << " features";
    if (isQ8(getInput().getType()) != quantized && (buffers || !quantized)) // at stage graph everything is f32
      return emitOpError("weight ") << i << " of " << type.getElementType() << " takes " << (quantized ? "q8" : "f32")
                                    << " activations, not " << (quantized ? "f32" : "q8");
    int64_t rows = lastDim(out.getType()), made = rowsOfWeight(weight), stacked = getExperts() ? type.getDimSize(0) : 1;
    if (getExperts() && made % 16)
      return emitOpError("weight ") << i << " has experts of " << made << " rows: a multiple of 16";
    if (rows != (buffers && !isQ8(out.getType()) ? static_cast<int64_t>(llvm::alignTo(made, 16)) : made))
      return emitOpError("weight ") << i << " has " << made << " rows; its result " << rows;
    if (!getBiases().empty() && lastDim(getBiases()[i].getType()) != made * stacked)
      return emitOpError("bias ") << i << " has " << lastDim(getBiases()[i].getType()) << " elements; its weight has "
                                  << made * stacked << " rows";
    if (buffers && isQ8(out.getType()) && (expected != 1 || getResidual()))
      return emitOpError("with several results or a residual must have f32 results");
    int64_t step = isQ8(out.getType()) ? 32 : 16;
    if (buffers && !getShares().empty() && ((*getUnitRows())[i] <= 0 || (*getUnitRows())[i] % step))
      return emitOpError("unit_rows must be multiples of ") << step << ", not " << (*getUnitRows())[i];
  }
  if (getResidual() && lastDim(getResidual().getType()) != lastDim(outputs[0].getType()))
    return emitOpError("residual and result differ in features");
  return success();
}

SmallVector<std::string> LinearOp::operandNames() {
  SmallVector<std::string> names{"x"};
  auto each = [&](StringRef name, size_t count) {
    for (size_t i = 0; i < count; ++i)
      names.push_back(name.str() + (count > 1 ? std::to_string(i) : ""));
  };
  each("w", getWeights().size());
  each("bias", getBiases().size());
  if (getExperts())
    names.push_back("experts");
  if (getResidual())
    names.push_back("residual");
  for (size_t i = 0; i < getShares().size(); ++i)
    names.push_back("share" + std::to_string(i / 2) + (i % 2 ? "_end" : "_begin"));
  each("y", getOuts().size());
  return names;
}

/// linear_q5_0_q8_0_1536x640: the formats of its weights, the rows of all together × columns; linear_2_of_8_… by experts.
std::string LinearOp::kernelName() {
  std::string name = getGate() ? "gated_linear" : "linear";
  StringRef last;
  int64_t rows = 0;
  if (getExperts())
    name += "_" + std::to_string(lastDim(getExperts().getType())) + "_of_" +
            std::to_string(cast<ShapedType>(getWeights()[0].getType()).getDimSize(0));
  for (Value weight : getWeights()) {
    auto type = cast<ShapedType>(weight.getType());
    rows += rowsOfWeight(weight);
    if (StringRef format = formatName(type.getElementType()); format != std::exchange(last, format))
      name += "_" + format.str();
  }
  return name + "_" + std::to_string(rows) + "x" + std::to_string(lastDim(getInput().getType()));
}

/// A row of the experts is a token's.
int64_t LinearOp::rowsEach(Value value) {
  if (!getExperts() || value == getExperts() || (value == getInput() && !getByChoice()))
    return 1;
  return lastDim(getExperts().getType());
}

OpOperand *LinearOp::updated(unsigned) { return getResidual() ? getResidualMutable().begin() : nullptr; }

bool LinearOp::canStoreQuantized(unsigned) { return (getGate() || getWeights().size() == 1) && !getResidual(); }
bool LinearOp::takesResidual() { return getResults().size() == 1 && !getResidual() && !getGate() && !getExperts(); }
void LinearOp::setResidual(Value residual) { getResidualMutable().assign(residual); }

ShardAttr LinearOp::cut(unsigned, ShardAttr wish) { return wish; }

SmallVector<ShareOf> LinearOp::shares(ArrayRef<ShardAttr> units) {
  SmallVector<ShareOf> shares;
  for (auto [i, weight] : llvm::enumerate(getWeights())) {
    ShardAttr unit = units[getGate() ? 0 : i];
    int64_t count = llvm::divideCeil(rowsOfWeight(weight), unit.getSize());
    if (unit.getUnit() == Unit::KvHeads)
      shares.push_back({count * unit.getGroup(), unit.getGroup()});
    else
      shares.push_back({count, 0});
  }
  return shares;
}
void LinearOp::setShares(ValueRange shares) { getSharesMutable().assign(shares); }

SmallVector<std::pair<Value, unsigned>> LinearOp::rowWeights() {
  SmallVector<std::pair<Value, unsigned>> weights;
  for (auto [i, weight] : llvm::enumerate(getWeights()))
    weights.push_back({weight, getGate() ? 0 : static_cast<unsigned>(i)});
  return weights;
}

void LinearOp::keepOf(Operation *tensorForm) {
  auto form = cast<LinearOp>(tensorForm);
  SmallVector<int64_t> units;
  for (size_t i = 0; i < form.getWeights().size(); ++i) {
    auto type = cast<RankedTensorType>(form.getResults()[form.getGate() ? 0 : i].getType());
    auto shard = dyn_cast_or_null<ShardAttr>(type.getEncoding());
    units.push_back(shard ? shard.getSize() : 0);
  }
  if (!form.getShares().empty())
    setUnitRows(units);
}

void LinearOp::addCost(KernelCost &cost) {
  cost.weights.assign(getWeights().begin(), getWeights().end());
  cost.role = cost.weights;
  if (!getExperts())
    return;
  cost.experts = cast<ShapedType>(getWeights()[0].getType()).getDimSize(0);
  cost.chosen = lastDim(getExperts().getType());
}

// ---- quantize ----

LogicalResult QuantizeOp::verify() {
  if (static_cast<bool>(getResult()) == static_cast<bool>(getOut()))
    return emitOpError("needs either a tensor result or a buffer in outs");
  if (lastDim(getInput().getType()) % 32)
    return emitOpError("features must be a multiple of 32, not ") << lastDim(getInput().getType());
  if (auto tensor = dyn_cast<RankedTensorType>(getInput().getType()))
    if (auto shard = dyn_cast_or_null<ShardAttr>(tensor.getEncoding()); shard && shard.getSize() % 32)
      return emitOpError("a share in units of ") << shard.getSize() << " features cuts a block of 32 features: gather it first";
  if (failed(verifyWhole(*this, getInput(), "input")))
    return failure();
  Value to = destination(*this);
  if (!isQ8(to.getType()))
    return emitOpError("result must have element type !heddle.q8");
  if (lastDim(to.getType()) != lastDim(getInput().getType()))
    return emitOpError("changes the number of features");
  return success();
}
SmallVector<std::string> QuantizeOp::operandNames() { return {"x", "y"}; }

// ---- experts ----

constexpr uint64_t kMostExperts = 4096, kMostChoices = 128;

LogicalResult ChooseExpertsOp::verify() {
  bool buffers = isa<MemRefType>(getScores().getType());
  ValueRange made = buffers ? ValueRange(getOuts()) : ValueRange(getResults());
  if (made.size() != 2 || getOuts().size() + getResults().size() != 2)
    return emitOpError("makes weights and experts");
  if (failed(verifyWhole(*this, getScores(), "scores")))
    return failure();
  if (getExperts() > kMostExperts || getChoices() > std::min(getExperts(), kMostChoices))
    return emitOpError("chooses ") << getChoices() << " of " << getExperts() << " experts: at most " << kMostChoices
                                   << " of up to " << kMostExperts;
  auto features = [&](uint64_t n) { return static_cast<int64_t>(buffers ? llvm::alignTo(n, 16) : n); };
  if (lastDim(getScores().getType()) != features(getExperts()))
    return emitOpError("scores have ") << lastDim(getScores().getType()) << " columns for " << getExperts() << " experts";
  if (!isRealRows(made[0].getType()) || lastDim(made[0].getType()) != features(getChoices()))
    return emitOpError("weights must be f32 of ") << getChoices() << " choices, not " << made[0].getType();
  if (!isChoices(made[1].getType()) || lastDim(made[1].getType()) != static_cast<int64_t>(getChoices()))
    return emitOpError("experts must be i32 of ") << getChoices() << " choices, not " << made[1].getType();
  return success();
}
SmallVector<std::string> ChooseExpertsOp::operandNames() {
  SmallVector<std::string> names{"scores"};
  if (!getOuts().empty())
    names.append({"weights", "experts"});
  return names;
}

LogicalResult SumExpertsOp::verify() {
  if (static_cast<bool>(getResult()) == static_cast<bool>(getOut()))
    return emitOpError("needs either a tensor result or a buffer in outs");
  for (auto [value, what] :
       {std::pair(Value(getInput()), "input"), {Value(getWeights()), "weights"}, {Value(getResidual()), "residual"}})
    if (failed(verifyWhole(*this, value, what)))
      return failure();
  int64_t features = lastDim(getInput().getType()), choices = getChoices();
  for (Value same : {destination(*this), Value(getResidual())})
    if (same && lastDim(same.getType()) != features)
      return emitOpError("input, residual and result differ in features");
  if (isQ8(destination(*this).getType()) && getResidual())
    return emitOpError("with a residual must have an f32 result");
  if (lastDim(getWeights().getType()) != (getOut() ? static_cast<int64_t>(llvm::alignTo(choices, 16)) : choices))
    return emitOpError("weights have ") << lastDim(getWeights().getType()) << " columns for " << choices << " choices";
  return success();
}
SmallVector<std::string> SumExpertsOp::operandNames() {
  return getResidual() ? SmallVector<std::string>{"x", "weights", "residual", "y"}
                       : SmallVector<std::string>{"x", "weights", "y"};
}
int64_t SumExpertsOp::rowsEach(Value value) { return value == getInput() ? getChoices() : 1; }
OpOperand *SumExpertsOp::updated(unsigned) { return getResidual() ? getResidualMutable().begin() : nullptr; }
bool SumExpertsOp::canStoreQuantized(unsigned) { return !getResidual(); }
bool SumExpertsOp::takesResidual() { return !getResidual(); }
void SumExpertsOp::setResidual(Value residual) { getResidualMutable().assign(residual); }
