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
  if (!isa<QuantType>(element) && !element.isF32() && !element.isF16() && !element.isBF16())
    return emitOpError("element type must be f32, f16, bf16 or !heddle.quant, not ") << element;
  int64_t block = blockElements(element);
  if (type.getRank() == 2 && type.getDimSize(1) % block)
    return emitOpError("rows of ") << type.getDimSize(1) << " elements do not divide into blocks of " << block;
  return success();
}

LogicalResult RopeTableOp::verify() {
  if (getDims() <= 0 || getDims() % 2) return emitOpError("dims must be positive and even, not ") << getDims();
  if (!(getBase().convertToDouble() > 0)) return emitOpError("base must be positive");
  if (getFactors() && static_cast<int64_t>(getFactors()->size()) != getDims() / 2)
    return emitOpError("has ") << getFactors()->size() << " factors; dims " << getDims() << " needs " << getDims() / 2;
  return success();
}

LogicalResult PagedStateOp::verify() {
  if (getLayers() <= 0 || getHeads() <= 0 || getKvHeads() <= 0 || getHeadDim() <= 0)
    return emitOpError("layers, heads, kv_heads and head_dim must be positive");
  if (getHeads() % getKvHeads())
    return emitOpError() << getHeads() << " query heads do not divide over " << getKvHeads() << " KV heads";
  return success();
}

LogicalResult GetOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight) return emitOpError("names no declared weight: ") << getWeightAttr();
  if (weight.getType() != getType()) return emitOpError("has type ") << getType() << " but the weight is " << weight.getType();
  return success();
}

LogicalResult EmbedOp::verify() {
  if (failed(verifyDestination(*this, getResult(), getOut()))) return failure();
  if (auto table = dyn_cast<RankedTensorType>(getTable().getType()))
    if (lastDim(getResult().getType()) != table.getDimSize(1))
      return emitOpError("result has ") << lastDim(getResult().getType()) << " features; the table's rows have " << table.getDimSize(1);
  return success();
}

LogicalResult SelectRowsOp::verify() {
  if (failed(verifyDestination(*this, getResult(), getOut()))) return failure();
  Type out = getResult() ? Type(getResult().getType()) : Type(getOut().getType());
  if (lastDim(out) != lastDim(getInput().getType())) return emitOpError("changes the number of features");
  return success();
}

LogicalResult RmsNormOp::verify() {
  if (failed(verifyDestination(*this, getResult(), getOut()))) return failure();
  if (getGroups() <= 0) return emitOpError("groups must be positive, not ") << getGroups();
  int64_t features = lastDim(getInput().getType()), weight = lastDim(getWeight().getType());
  if (features != weight * static_cast<int64_t>(getGroups()))
    return emitOpError("weight has ") << weight << " elements; " << features << " features in " << getGroups() << " groups need "
                                      << features / static_cast<int64_t>(getGroups());
  return success();
}

LogicalResult RopeOp::verify() {
  int64_t features = lastDim(getInput().getType());
  if (getHeads() <= 0 || features % static_cast<int64_t>(getHeads()))
    return emitOpError() << features << " features do not divide over " << getHeads() << " heads";
  if (getInput().getType() != getResult().getType()) return emitOpError("result type differs from the input's");
  return success();
}

LogicalResult RopeOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto table = symbols.lookupNearestSymbolFrom<RopeTableOp>(*this, getTableAttr());
  if (!table) return emitOpError("names no declared RoPE table: ") << getTableAttr();
  int64_t headDim = lastDim(getInput().getType()) / static_cast<int64_t>(getHeads());
  if (static_cast<int64_t>(table.getDims()) > headDim)
    return emitOpError("table rotates ") << table.getDims() << " dimensions of heads of " << headDim;
  return success();
}

LogicalResult AllGatherOp::verify() {
  auto input = dyn_cast<RankedTensorType>(getInput().getType());
  if (!input) return getRanks() && getShard() && getColumns() ? success() : emitOpError("on a buffer needs ranks, shard and columns");
  if (!isa_and_nonnull<ShardAttr>(input.getEncoding())) return emitOpError("operand is whole already: its type has no #heddle.shard");
  auto result = dyn_cast_or_null<RankedTensorType>(getResult() ? getResult().getType() : Type());
  if (!result || result != RankedTensorType::get(input.getShape(), input.getElementType()))
    return emitOpError("result must be the operand's type without its #heddle.shard");
  return success();
}
