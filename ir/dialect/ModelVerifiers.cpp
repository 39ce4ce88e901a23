//===- ModelVerifiers.cpp - symbols, embedding, norms, collectives --------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"

using namespace mlir;
using namespace heddle::ir;

LogicalResult WeightOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape() || type.getRank() < 1 || type.getRank() > 2)
    return emitOpError("type must be a vector [N] or a matrix [N × K] of static shape, not ") << getType();
  Type element = type.getElementType();
  if (formatName(element).empty())
    return emitOpError("element type must be f32, f16, bf16 or !heddle.quant, not ") << element;
  int64_t block = blockElements(element);
  if (type.getRank() == 2 && type.getDimSize(1) % block)
    return emitOpError("rows of ") << type.getDimSize(1) << " elements do not divide into blocks of " << block;
  return success();
}

LogicalResult RopeTableOp::verify() {
  if (signedOf(getDims()) <= 0 || getDims() % 2)
    return emitOpError("dims must be positive and even, not ") << getDims();
  if (!(getBase().convertToDouble() > 0) || !getBase().isFinite())
    return emitOpError("base must be positive");
  if (!(getLinearScale().convertToDouble() > 0) || !getLinearScale().isFinite())
    return emitOpError("scale must be positive");
  if (getFactors() && static_cast<int64_t>(getFactors()->size()) != getDims() / 2)
    return emitOpError("has ") << getFactors()->size() << " factors; dims " << getDims() << " needs " << getDims() / 2;
  return success();
}

LogicalResult PagedStateOp::verify() {
  if (signedOf(getLayers()) <= 0 || signedOf(getHeads()) <= 0 || signedOf(getKvHeads()) <= 0 || signedOf(getHeadDim()) <= 0)
    return emitOpError("layers, heads, kv_heads and head_dim must be positive");
  if (getHeads() % getKvHeads())
    return emitOpError() << getHeads() << " query heads do not divide over " << getKvHeads() << " KV heads";
  return success();
}

LogicalResult GetOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight)
    return emitOpError("names no declared weight: ") << getWeightAttr();
  if (weight.getType() != getType())
    return emitOpError("has type ") << getType() << " but the weight is " << weight.getType();
  return success();
}

LogicalResult EmbedOp::verify() {
  if (failed(verifyDestination(*this, getResult(), getOut())))
    return failure();
  Value to = getResult() ? Value(getResult()) : Value(getOut());
  if (failed(verifyWhole(*this, getTable(), "table")) || failed(verifyRows(*this, to, "result")))
    return failure();
  if (!getElementTypeOrSelf(to.getType()).isF32())
    return emitOpError("result must be f32");
  if (getOut()) {
    if (!getFormat())
      return emitOpError("on buffers needs the table's format");
    return failed(verifyPacked(*this, getTable(), *getFormat())) ? failure() : verifyList(*this, getIds(), "ids", 32);
  }
  if (auto table = dyn_cast<RankedTensorType>(getTable().getType()); !table || table.getRank() != 2)
    return emitOpError("table must be a matrix");
  else if (lastDim(getResult().getType()) != table.getDimSize(1))
    return emitOpError("result has ") << lastDim(getResult().getType()) << " features; the table's rows have "
                                      << table.getDimSize(1);
  return success();
}

LogicalResult SelectRowsOp::verify() {
  if (failed(verifyDestination(*this, getResult(), getOut())))
    return failure();
  if (failed(verifyWhole(*this, getInput(), "input")) || failed(verifyRows(*this, getInput(), "input")))
    return failure();
  if (failed(verifyList(*this, getRows(), "rows", 32)))
    return failure();
  Type out = getResult() ? Type(getResult().getType()) : Type(getOut().getType());
  if (lastDim(out) != lastDim(getInput().getType()))
    return emitOpError("changes the number of features");
  if (getElementTypeOrSelf(out) != getElementTypeOrSelf(getInput().getType()))
    return emitOpError("changes the element type");
  return getOut() ? verifyRows(*this, getOut(), "result") : success();
}

LogicalResult RmsNormOp::verify() {
  if (failed(verifyDestination(*this, getResult(), getOut())))
    return failure();
  if (failed(verifyWhole(*this, getInput(), "input")) || failed(verifyWhole(*this, getResidual(), "residual")))
    return failure();
  Value to = getResult() ? Value(getResult()) : Value(getOut());
  if (failed(verifyRows(*this, getInput(), "input")) || failed(verifyRows(*this, getResidual(), "residual")) ||
      failed(verifyRows(*this, to, "result")))
    return failure();
  if (!getElementTypeOrSelf(getInput().getType()).isF32())
    return emitOpError("input must be f32");
  if (signedOf(getGroups()) <= 0)
    return emitOpError("groups must be positive, not ") << getGroups();
  int64_t features = lastDim(getInput().getType()), weight = lastDim(getWeight().getType());
  if (features != weight * static_cast<int64_t>(getGroups()))
    return emitOpError("weight has ") << weight << " elements; " << features << " features in " << getGroups() << " groups need "
                                      << features / static_cast<int64_t>(getGroups());
  for (Value same : {to, Value(getResidual())})
    if (same && lastDim(same.getType()) != features)
      return emitOpError("input, residual and result differ in features");
  if (getResidual() && !getElementTypeOrSelf(getResidual().getType()).isF32())
    return emitOpError("residual must be f32");
  return getOut() ? verifyList(*this, getWeight(), "weight", 0) : success();
}

LogicalResult RopeOp::verify() {
  int64_t features = lastDim(getInput().getType());
  if (signedOf(getHeads()) <= 0 || features % static_cast<int64_t>(getHeads()))
    return emitOpError() << features << " features do not divide over " << getHeads() << " heads";
  if (getInput().getType() != getResult().getType())
    return emitOpError("result type differs from the input's");
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

LogicalResult ShareOp::verify() {
  if (signedOf(getUnits()) <= 0 || signedOf(getGroup()) <= 0)
    return emitOpError("units and group must be positive, not ") << getUnits() << " and " << getGroup();
  if (getUnits() >= INT32_MAX)
    return emitOpError("cannot share as many as ") << getUnits() << " units";
  return success();
}

LogicalResult AllGatherOp::verify() {
  if (failed(verifyRows(*this, getInput(), "operand")))
    return failure();
  auto input = dyn_cast<RankedTensorType>(getInput().getType());
  if (!input) {
    if (!getRanks() || !getShard() || !getColumns() || getResult())
      return emitOpError("on a buffer needs ranks, shard and columns");
    if (signedOf(*getColumns()) <= 0 || signedOf(*getColumns()) > lastDim(getInput().getType()))
      return emitOpError("gathers ") << *getColumns() << " columns of " << lastDim(getInput().getType());
    if (isQ8Buffer(getInput().getType()) && getShard()->getSize() % 32)
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
