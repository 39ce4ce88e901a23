//===- Linear.cpp - products and requantisation ---------------------------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"
#include <numeric>

using namespace mlir;
using namespace heddle::ir;

void LinearOp::build(OpBuilder &b, OperationState &state, const LinearSpec &spec) {
  auto function = [&](std::optional<Activation> f) { return f ? ActivationAttr::get(b.getContext(), *f) : ActivationAttr(); };
  build(b, state, spec.results, spec.input, spec.weights, spec.biases, spec.residual, spec.shares, ValueRange(),
        function(spec.gate), function(spec.activation), spec.scale ? b.getF32FloatAttr(*spec.scale) : FloatAttr(),
        DenseI64ArrayAttr(), false);
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
    int64_t needed = buffers && !quantized ? llvm::alignTo(type.getDimSize(1), 16) : type.getDimSize(1);
    if (needed != columns)
      return emitOpError("weight ") << i << " is " << type << "; the input has " << columns << " features";
    if (isQ8(getInput().getType()) != quantized && (buffers || !quantized)) // at stage graph everything is f32
      return emitOpError("weight ") << i << " of " << type.getElementType() << " takes " << (quantized ? "q8" : "f32")
                                    << " activations, not " << (quantized ? "f32" : "q8");
    int64_t rows = lastDim(out.getType()), made = type.getDimSize(0);
    if (rows != (buffers && !isQ8(out.getType()) ? static_cast<int64_t>(llvm::alignTo(made, 16)) : made))
      return emitOpError("weight ") << i << " has " << made << " rows; its result " << rows;
    if (!getBiases().empty() && lastDim(getBiases()[i].getType()) != made)
      return emitOpError("bias ") << i << " has " << lastDim(getBiases()[i].getType()) << " elements; its weight has " << made
                                  << " rows";
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
  if (getResidual())
    names.push_back("residual");
  for (size_t i = 0; i < getShares().size(); ++i)
    names.push_back("share" + std::to_string(i / 2) + (i % 2 ? "_end" : "_begin"));
  each("y", getOuts().size());
  return names;
}

/// linear_q5_0_q8_0_1536x640: the formats of its weights, the rows of all together × columns.
std::string LinearOp::kernelName() {
  std::string name = getGate() ? "gated_linear" : "linear";
  StringRef last;
  int64_t rows = 0;
  for (Value weight : getWeights()) {
    auto type = cast<ShapedType>(weight.getType());
    rows += type.getDimSize(0);
    if (StringRef format = formatName(type.getElementType()); format != std::exchange(last, format))
      name += "_" + format.str();
  }
  return name + "_" + std::to_string(rows) + "x" + std::to_string(lastDim(getInput().getType()));
}

OpOperand *LinearOp::updated(unsigned) { return getResidual() ? getResidualMutable().begin() : nullptr; }

bool LinearOp::canStoreQuantized(unsigned) { return (getGate() || getWeights().size() == 1) && !getResidual(); }
bool LinearOp::takesResidual() { return getResults().size() == 1 && !getResidual() && !getGate(); }
void LinearOp::setResidual(Value residual) { getResidualMutable().assign(residual); }

ShardAttr LinearOp::cut(unsigned, ShardAttr wish) { return wish; }

SmallVector<ShareOf> LinearOp::shares(ArrayRef<ShardAttr> units) {
  SmallVector<ShareOf> shares;
  for (auto [i, weight] : llvm::enumerate(getWeights())) {
    ShardAttr unit = units[getGate() ? 0 : i];
    int64_t count = llvm::divideCeil(cast<ShapedType>(weight.getType()).getDimSize(0), unit.getSize());
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
