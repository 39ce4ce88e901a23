//===- Model.cpp - symbols, embedding, element-wise ops, norms, collectives -----------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"
#include <cmath>

using namespace mlir;
using namespace heddle::ir;

using Names = SmallVector<std::string>;

LogicalResult WeightOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape() || type.getRank() < 1 || type.getRank() > 3)
    return emitOpError("type must be a vector [N], a matrix [N × K] or a stack of them [E × N × K] of static shape, not ")
           << getType();
  Type element = type.getElementType();
  if (isa<PackedType>(element) || formatName(element).empty())
    return emitOpError("element type must be f32, f16, bf16 or !heddle.quant, not ") << element;
  int64_t block = blockElements(element);
  if (type.getRank() > 1 && lastDim(type) % block)
    return emitOpError("rows of ") << lastDim(type) << " elements do not divide into blocks of " << block;
  return success();
}

LogicalResult RopeTableOp::verify() {
  if (getDims() % 2)
    return emitOpError("dims must be even, not ") << getDims();
  if (!(getBase().convertToDouble() > 0) || !getBase().isFinite())
    return emitOpError("base must be positive");
  if (!(getLinearScale().convertToDouble() > 0) || !getLinearScale().isFinite())
    return emitOpError("scale must be positive");
  for (const auto &factors : {getFactors(), getLongFactors()}) {
    if (factors && static_cast<int64_t>(factors->size()) != static_cast<int64_t>(getDims() / 2))
      return emitOpError("has ") << factors->size() << " factors; dims " << getDims() << " needs " << getDims() / 2;
    if (factors && !llvm::all_of(*factors, [](double factor) { return factor > 0 && std::isfinite(factor); }))
      return emitOpError("factors must be positive");
  }
  if (getLongFactors().has_value() != getOriginal().has_value())
    return emitOpError("long_factors and beyond go together");
  if (getMagnitude() && (!(getMagnitude()->convertToDouble() > 0) || !getMagnitude()->isFinite()))
    return emitOpError("magnitude must be positive");
  return success();
}

/// The result is f32 like the input, with as many features.
static LogicalResult verifySameRows(Operation *op, Value input, Value result) {
  return input.getType() == result.getType()
             ? success()
             : op->emitOpError("result must be ") << input.getType() << " like its operand, not " << result.getType();
}

// ---- embedding, rows ----

LogicalResult EmbedOp::verify() {
  if (failed(verifyDestination(*this)) || failed(verifyReal(*this, destination(*this), "result")) ||
      failed(verifyWhole(*this, getTable(), "table")))
    return failure();
  int64_t features = lastDim(destination(*this).getType()), columns = lastDim(getTable().getType());
  if (features != (getOut() ? static_cast<int64_t>(llvm::alignTo(columns, 16)) : columns))
    return emitOpError("result has ") << features << " features; the table's rows have " << columns;
  return success();
}
Names EmbedOp::operandNames() { return {"ids", "table", "y"}; }

LogicalResult SelectRowsOp::verify() {
  if (failed(verifyDestination(*this)) || failed(verifyWhole(*this, getInput(), "input")))
    return failure();
  return verifySameRows(*this, getInput(), destination(*this));
}
Names SelectRowsOp::operandNames() { return {"x", "rows", "y"}; }
int64_t SelectRowsOp::rowsEach(Value) { return 0; }
std::optional<RowCount> SelectRowsOp::rowsOf(unsigned) {
  auto list = getRows().getDefiningOp<BatchOp>();
  return list ? list.elements() : RowCount::Tokens;
}

// ---- pooling ----

LogicalResult MeanRowsOp::verify() {
  if (failed(verifyDestination(*this)) || failed(verifyReal(*this, destination(*this), "result")) ||
      failed(verifyWhole(*this, getInput(), "input")))
    return failure();
  for (auto [list, kind] : {std::pair(getFirst(), BatchList::First), {getLast(), BatchList::Last}})
    if (auto batch = list.getDefiningOp<BatchOp>(); batch && batch.getList() != kind)
      return emitOpError("goes from the batch's first to its last tokens of each sequence");
  return verifySameRows(*this, getInput(), destination(*this));
}
Names MeanRowsOp::operandNames() { return {"x", "first", "last", "y"}; }
std::optional<RowCount> MeanRowsOp::rowsOf(unsigned) { return RowCount::Sequences; }
int64_t MeanRowsOp::rowsEach(Value value) { return value == getInput() ? 1 : 0; }

LogicalResult NormalizeOp::verify() {
  if (failed(verifyDestination(*this)) || failed(verifyReal(*this, destination(*this), "result")) ||
      failed(verifyWhole(*this, getInput(), "input")))
    return failure();
  if (int64_t features = lastDim(getInput().getType()); features % 16) // what pads a buffer's rows would count
    return emitOpError("has rows of ") << features << " features; only multiples of 16 are supported";
  return verifySameRows(*this, getInput(), destination(*this));
}
Names NormalizeOp::operandNames() { return {"x", "y"}; }
OpOperand *NormalizeOp::updated(unsigned) { return &getInputMutable(); }

// ---- element-wise ----

template <class Op> static LogicalResult verifyBinary(Op op) {
  if (failed(verifyDestination(op)) || failed(verifyWhole(op, op.getLhs(), "operand")) ||
      failed(verifyWhole(op, op.getRhs(), "operand")))
    return failure();
  return failed(verifySameRows(op, op.getLhs(), op.getRhs())) ? failure() : verifySameRows(op, op.getLhs(), destination(op));
}
LogicalResult AddOp::verify() { return verifyBinary(*this); }
LogicalResult MulOp::verify() { return verifyBinary(*this); }
Names AddOp::operandNames() { return {"a", "b", "y"}; }
Names MulOp::operandNames() { return {"a", "b", "y"}; }
OpOperand *AddOp::updated(unsigned) { return &getLhsMutable(); }
OpOperand *MulOp::updated(unsigned) { return &getLhsMutable(); }

LogicalResult ActivateOp::verify() {
  return failed(verifyDestination(*this)) || failed(verifyWhole(*this, getInput(), "operand"))
             ? failure()
             : verifySameRows(*this, getInput(), destination(*this));
}
Names ActivateOp::operandNames() { return {"x", "y"}; }
OpOperand *ActivateOp::updated(unsigned) { return &getInputMutable(); }

LogicalResult ScaleOp::verify() {
  return failed(verifyDestination(*this)) || failed(verifyWhole(*this, getInput(), "operand"))
             ? failure()
             : verifySameRows(*this, getInput(), destination(*this));
}
Names ScaleOp::operandNames() { return {"x", "y"}; }
OpOperand *ScaleOp::updated(unsigned) { return &getInputMutable(); }

LogicalResult CopyOp::verify() {
  return failed(verifyDestination(*this)) ? failure() : verifySameRows(*this, getInput(), destination(*this));
}
Names CopyOp::operandNames() { return {"x", "y"}; }

// ---- norms, rotation ----

LogicalResult RmsNormOp::verify() {
  if (failed(verifyDestination(*this)) || failed(verifyWhole(*this, getInput(), "input")) ||
      failed(verifyWhole(*this, getResidual(), "residual")))
    return failure();
  int64_t features = lastDim(getInput().getType()), weight = lastDim(getWeight().getType());
  if (features != weight * static_cast<int64_t>(getGroups()))
    return emitOpError("weight has ") << weight << " elements; " << features << " features in " << getGroups() << " groups need "
                                      << features / static_cast<int64_t>(getGroups());
  for (Value same : {destination(*this), Value(getResidual())})
    if (same && lastDim(same.getType()) != features)
      return emitOpError("input, residual and result differ in features");
  return success();
}
Names RmsNormOp::operandNames() { return getResidual() ? Names{"x", "weight", "residual", "y"} : Names{"x", "weight", "y"}; }
OpOperand *RmsNormOp::updated(unsigned) { return getResidual() ? getResidualMutable().begin() : nullptr; }
bool RmsNormOp::canStoreQuantized(unsigned) { return !getResidual() && getGroups() == 1; }
bool RmsNormOp::takesResidual() { return !getResidual() && getGroups() == 1; }
void RmsNormOp::setResidual(Value residual) { getResidualMutable().assign(residual); }
void RmsNormOp::addCost(KernelCost &cost) { cost.role = {getWeight()}; }

LogicalResult LayerNormOp::verify() {
  if (failed(verifyDestination(*this)) || failed(verifyWhole(*this, getInput(), "input")))
    return failure();
  int64_t features = lastDim(getInput().getType());
  if (lastDim(destination(*this).getType()) != features)
    return emitOpError("input and result differ in features");
  for (auto [vector, name] : {std::pair(Value(getWeight()), "weight"), {Value(getBias()), "bias"}})
    if (vector && lastDim(vector.getType()) != features)
      return emitOpError() << name << " has " << lastDim(vector.getType()) << " elements; rows have " << features << " features";
  return success();
}
Names LayerNormOp::operandNames() { return getBias() ? Names{"x", "weight", "bias", "y"} : Names{"x", "weight", "y"}; }
bool LayerNormOp::canStoreQuantized(unsigned) { return true; }
void LayerNormOp::addCost(KernelCost &cost) { cost.role = {getWeight()}; }

LogicalResult RopeOp::verify() {
  if (failed(verifyDestination(*this)) || failed(verifySameRows(*this, getInput(), destination(*this))))
    return failure();
  int64_t features = lastDim(getInput().getType());
  if (features % static_cast<int64_t>(getHeads()))
    return emitOpError() << features << " features do not divide over " << getHeads() << " heads";
  return success();
}
LogicalResult RopeOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto table = symbols.lookupNearestSymbolFrom<RopeTableOp>(*this, getTableAttr());
  if (!table)
    return emitOpError("names no declared RoPE table: ") << getTableAttr();
  int64_t headDim = lastDim(getInput().getType()) / static_cast<int64_t>(getHeads());
  if (static_cast<int64_t>(table.getDims()) > headDim)
    return emitOpError("table rotates ") << table.getDims() << " dimensions of heads of " << headDim;
  return success();
}
Names RopeOp::operandNames() { return {"x", "y"}; }
OpOperand *RopeOp::updated(unsigned) { return &getInputMutable(); }

// ---- ranks ----

LogicalResult ShareOp::verify() {
  return getUnits() < INT32_MAX ? success() : emitOpError("cannot share as many as ") << getUnits() << " units";
}

LogicalResult AllGatherOp::verify() {
  auto input = dyn_cast<RankedTensorType>(getInput().getType());
  if (!input) {
    if (!getShard() || !getColumns() || getResult())
      return emitOpError("on a buffer needs shard and columns");
    if (static_cast<int64_t>(*getColumns()) > lastDim(getInput().getType()))
      return emitOpError("gathers ") << *getColumns() << " columns of " << lastDim(getInput().getType());
    if (isQ8(getInput().getType()) && getShard()->getSize() % 32)
      return emitOpError("a q8 buffer needs units of whole blocks of 32 features");
    return success();
  }
  if (!isa_and_nonnull<ShardAttr>(input.getEncoding()))
    return emitOpError("operand is whole already: its type has no #heddle.shard");
  auto result = dyn_cast_or_null<RankedTensorType>(getResult() ? getResult().getType() : Type());
  if (!result || result != RankedTensorType::get(input.getShape(), input.getElementType()))
    return emitOpError("result must be the operand's type without its #heddle.shard");
  return success();
}
