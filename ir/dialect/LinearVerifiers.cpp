//===- LinearVerifiers.cpp - products and requantisation ------------------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"

using namespace mlir;
using namespace heddle::ir;

static LogicalResult verifyBuffers(LinearOp op) {
  size_t count = op.getWeights().size();
  if (!op.getFormats() || op.getFormats()->size() != count)
    return op.emitOpError("on buffers needs one format per weight");
  if (!op.getRows() || op.getRows()->size() != count || !op.getUnitRows() || op.getUnitRows()->size() != count)
    return op.emitOpError("on buffers needs rows and unit_rows for each weight");
  for (size_t i = 0; i < count; ++i) {
    StringRef format = cast<StringAttr>((*op.getFormats())[i]).getValue();
    Value out = op.getOuts()[op.getGate() ? 0 : i];
    if (failed(verifyPacked(op, op.getWeights()[i], format)) || failed(verifyRows(op, out, "result")))
      return failure();
    if (isQ8Buffer(op.getInput().getType()) != (blockElements(format) > 1))
      return op.emitOpError("weight ") << i << " of format " << format << " takes " << (blockElements(format) > 1 ? "q8" : "f32")
                                       << " activations";
    if (isQ8Buffer(out.getType()) && !op.getGate())
      return op.emitOpError("without a gate must have f32 results");
    int64_t rows = (*op.getRows())[i], unit = (*op.getUnitRows())[i], step = isQ8Buffer(out.getType()) ? 32 : 16;
    if (rows <= 0 || rows > lastDim(out.getType()))
      return op.emitOpError("weight ") << i << " has " << rows << " rows; its result " << lastDim(out.getType());
    if (!op.getShares().empty() && (unit <= 0 || unit % step))
      return op.emitOpError("unit_rows must be multiples of ") << step << ", not " << unit;
  }
  if (op.getGate() && (*op.getRows())[0] != (*op.getRows())[1])
    return op.emitOpError("gate and up differ in rows: ") << (*op.getRows())[0] << " and " << (*op.getRows())[1];
  if (op.getResidual() && lastDim(op.getResidual().getType()) != lastDim(op.getOuts()[0].getType()))
    return op.emitOpError("residual and result differ in features");
  return success();
}

LogicalResult LinearOp::verify() {
  if (getWeights().empty())
    return emitOpError("needs at least one weight");
  if (failed(verifyWhole(*this, getInput(), "input")) || failed(verifyWhole(*this, getResidual(), "residual")))
    return failure();
  if (failed(verifyRows(*this, getInput(), "input")) || failed(verifyRows(*this, getResidual(), "residual")))
    return failure();
  if (getResidual() && !getElementTypeOrSelf(getResidual().getType()).isF32())
    return emitOpError("residual must be f32");
  bool buffers = isa<MemRefType>(getInput().getType());
  size_t outputs = buffers ? getOuts().size() : getResults().size();
  if (buffers ? !getResults().empty() : !getOuts().empty())
    return emitOpError("mixes tensors and buffers");
  if (getGate() && getWeights().size() != 2)
    return emitOpError("with a gate needs two weights (gate, up), not ") << getWeights().size();
  size_t expected = getGate() ? 1 : getWeights().size();
  if (outputs != expected)
    return emitOpError("has ") << outputs << " results; its weights make " << expected;
  if (getResidual() && expected != 1)
    return emitOpError("with a residual must have one result");
  if (!getShares().empty() && getShares().size() != 2 * getWeights().size())
    return emitOpError("needs one [begin, end) share per weight");
  if (buffers) {
    return verifyBuffers(*this);
  }
  int64_t columns = lastDim(getInput().getType());
  for (auto [i, weight] : llvm::enumerate(getWeights())) {
    auto type = cast<RankedTensorType>(weight.getType());
    if (type.getRank() != 2 || type.getDimSize(1) != columns)
      return emitOpError("weight ") << i << " is " << type << "; the input has " << columns << " features";
    if (isQ8(getInput().getType()) && !isQuantized(type.getElementType()))
      return emitOpError("weight ") << i << " of " << type.getElementType() << " takes f32 activations, not q8";
    if (failed(verifyRows(*this, getResults()[getGate() ? 0 : i], "result")))
      return failure();
    int64_t rows = lastDim(getResults()[getGate() ? 0 : i].getType());
    if (type.getDimSize(0) != rows)
      return emitOpError("weight ") << i << " has " << type.getDimSize(0) << " rows; its result " << rows;
  }
  if (getResidual() && lastDim(getResidual().getType()) != lastDim(getResults()[0].getType()))
    return emitOpError("residual and result differ in features");
  return success();
}

LogicalResult QuantizeOp::verify() {
  if (failed(verifyDestination(*this, getResult(), getOut())))
    return failure();
  if (failed(verifyRows(*this, getInput(), "input")))
    return failure();
  if (lastDim(getInput().getType()) % 32)
    return emitOpError("features must be a multiple of 32, not ") << lastDim(getInput().getType());
  if (!getElementTypeOrSelf(getInput().getType()).isF32())
    return emitOpError("input must be f32");
  if (auto tensor = dyn_cast<RankedTensorType>(getInput().getType()))
    if (auto shard = dyn_cast_or_null<ShardAttr>(tensor.getEncoding()); shard && shard.getSize() % 32)
      return emitOpError("a share in units of ") << shard.getSize() << " features cuts a block of 32 features: gather it first";
  if (failed(verifyWhole(*this, getInput(), "input")))
    return failure();
  Value to = getResult() ? Value(getResult()) : Value(getOut());
  if (getResult() ? !isQ8(to.getType()) : !isQ8Buffer(to.getType()))
    return emitOpError("result must have element type !heddle.q8");
  if (failed(verifyRows(*this, to, "result")))
    return failure();
  if (lastDim(to.getType()) != lastDim(getInput().getType()))
    return emitOpError("changes the number of features");
  return success();
}
