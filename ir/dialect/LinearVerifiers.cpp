//===- LinearVerifiers.cpp - products and requantisation ------------------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"

using namespace mlir;
using namespace heddle::ir;

LogicalResult LinearOp::verify() {
  if (getWeights().empty()) return emitOpError("needs at least one weight");
  if (failed(verifyWhole(*this, getInput(), "input"))) return failure();
  bool buffers = isa<MemRefType>(getInput().getType());
  size_t outputs = buffers ? getOuts().size() : getResults().size();
  if (buffers ? !getResults().empty() : !getOuts().empty()) return emitOpError("mixes tensors and buffers");
  if (getGate() && getWeights().size() != 2) return emitOpError("with a gate needs two weights (gate, up), not ") << getWeights().size();
  size_t expected = getGate() ? 1 : getWeights().size();
  if (outputs != expected) return emitOpError("has ") << outputs << " results; its weights make " << expected;
  if (getResidual() && expected != 1) return emitOpError("with a residual must have one result");
  if (!getShares().empty() && getShares().size() != 2 * getWeights().size())
    return emitOpError("needs one [begin, end) share per weight");
  if (buffers) {
    if (!getFormats() || getFormats()->size() != getWeights().size()) return emitOpError("on buffers needs one format per weight");
    return success();
  }
  int64_t columns = lastDim(getInput().getType());
  for (auto [i, weight] : llvm::enumerate(getWeights())) {
    auto type = cast<RankedTensorType>(weight.getType());
    if (type.getRank() != 2 || type.getDimSize(1) != columns)
      return emitOpError("weight ") << i << " is " << type << "; the input has " << columns << " features";
    if (isQ8(getInput().getType()) && !isQuantized(type.getElementType()))
      return emitOpError("weight ") << i << " of " << type.getElementType() << " takes f32 activations, not q8";
    int64_t rows = lastDim(getResults()[getGate() ? 0 : i].getType());
    if (type.getDimSize(0) != rows) return emitOpError("weight ") << i << " has " << type.getDimSize(0) << " rows; its result " << rows;
  }
  if (getResidual() && lastDim(getResidual().getType()) != lastDim(getResults()[0].getType()))
    return emitOpError("residual and result differ in features");
  return success();
}

LogicalResult QuantizeOp::verify() {
  if (failed(verifyDestination(*this, getResult(), getOut()))) return failure();
  if (lastDim(getInput().getType()) % 32) return emitOpError("features must be a multiple of 32, not ") << lastDim(getInput().getType());
  if (getResult() && !isQ8(getResult().getType())) return emitOpError("result must have element type !heddle.q8");
  return success();
}
