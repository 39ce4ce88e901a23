//===- Tiles.cpp - register tiles: an edited stage must not reach the lowerings in shapes that they do not know ------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"

using namespace mlir;
using namespace heddle::ir;

template <class Op> static LogicalResult verifyHead(Op op, Value norm) {
  int64_t dims = op.getHeadDim(), rotated = op.getRopeDims();
  if (dims <= 0 || dims % 16 || dims > 4096)
    return op.emitOpError("head_dim must be a multiple of 16 up to 4096, not ") << dims;
  if (static_cast<bool>(norm) != op.getNormEps().has_value())
    return op.emitOpError("a head norm needs its weight and norm_eps");
  if (norm && lastDim(norm.getType()) != dims)
    return op.emitOpError("head norm has ") << lastDim(norm.getType()) << " elements; head_dim is " << dims;
  if (!op.getRope())
    return success();
  if (!op.getStyle())
    return op.emitOpError("rope needs its style");
  if (rotated <= 0 || rotated > dims || rotated % 16)
    return op.emitOpError("cannot rotate ") << rotated << " of " << dims << " dimensions in this style";
  return success();
}

/// What both forms of a product need of their operands.
template <class Op> static LogicalResult verifyProduct(Op op) {
  auto weights = cast<ShapedType>(op.getWeights().getType());
  bool quantized = isQuantized(weights.getElementType());
  if (isQ8(op.getInput().getType()) != quantized)
    return op.emitOpError("input must be ") << (quantized ? "q8" : "f32") << ", not " << op.getInput().getType();
  int64_t columns = lastDim(weights);
  if (columns % blockElements(weights.getElementType()) || columns > lastDim(op.getInput().getType()))
    return op.emitOpError("cannot take ") << columns << " columns in blocks of " << blockElements(weights.getElementType())
                                          << " of an input of " << lastDim(op.getInput().getType());
  int64_t lanes = signedOf(op.getLanes());
  return lanes == 16 || lanes == 8 ? success() : op.emitOpError("lanes must be 16 or 8, not ") << lanes;
}

LogicalResult TileProductOp::verify() {
  if (failed(verifyProduct(*this)))
    return failure();
  if (signedOf(getAhead()) > kMostAheadBytes)
    return emitOpError("ahead must be in 0 to ") << kMostAheadBytes << ", not " << signedOf(getAhead());
  if (!getNumResults())
    return emitOpError("needs a token");
  if (int64_t groups = getRowGroups(); getNumResults() % groups)
    return emitOpError("cannot give ") << groups << " row groups the same number of " << getNumResults() << " accumulators";
  else if (groups > 1 && isQ8(getInput().getType()))
    return emitOpError("takes one row group at a time in a quantised format, not ") << groups;
  return success();
}

LogicalResult TileProductPanelOp::verify() {
  if (failed(verifyProduct(*this)))
    return failure();
  auto sums = cast<MemRefType>(getSums().getType());
  if (sums.hasStaticShape() && sums.getDimSize(2) == 16 && sums.getLayout().isIdentity())
    return success();
  return emitOpError("sums must be a buffer [row groups × tokens × 16] of f32 of known size, not ") << getSums().getType();
}

LogicalResult TileQuantizeRowOp::verify() {
  return lastDim(getInput().getType()) == lastDim(getOut().getType()) ? success() : emitOpError("changes the number of features");
}

LogicalResult TileRmsNormOp::verify() {
  int64_t features = lastDim(getWeight().getType());
  for (Value rows : {Value(getInput()), Value(getResidual()), Value(getOut())})
    if (rows && lastDim(rows.getType()) != features)
      return emitOpError("weight has ") << features << " elements; rows have " << lastDim(rows.getType());
  return success();
}

LogicalResult TileLayerNormOp::verify() {
  int64_t features = lastDim(getWeight().getType());
  for (Value same : {Value(getInput()), Value(getBias()), Value(getOut())})
    if (same && lastDim(same.getType()) != features)
      return emitOpError("weight has ") << features << " elements; rows or bias have " << lastDim(same.getType());
  return success();
}

LogicalResult TileEmbedOp::verify() {
  int64_t columns = lastDim(getTable().getType());
  return lastDim(getOut().getType()) >= columns ? success()
                                                : emitOpError("a row of ") << columns << " elements has no room in the result";
}

LogicalResult TileCopyRowOp::verify() {
  return lastDim(getInput().getType()) == lastDim(getOut().getType()) && isQ8(getInput().getType()) == isQ8(getOut().getType())
             ? success()
             : emitOpError("changes the type of a row");
}

LogicalResult TileRopeOp::verify() {
  int64_t dims = getHeadDim(), rotated = getRopeDims();
  if (dims % 16 || dims > 4096)
    return emitOpError("head_dim must be a multiple of 16 up to 4096, not ") << dims;
  if (rotated > dims || rotated % 16)
    return emitOpError("cannot rotate ") << rotated << " of " << dims << " dimensions in this style";
  return getInput().getType() == getOut().getType() ? success() : emitOpError("changes the type of a row");
}

LogicalResult TileStoreKvOp::verify() { return verifyHead(*this, getKNorm()); }

template <class Op> static LogicalResult verifyAttentionTile(Op op) {
  size_t queries = op.getTokens().size();
  if (!queries || queries > 8 || op.getHeads().size() != queries || op.getPositions().size() != queries)
    return op.emitOpError("needs 1 to 8 queries, each with its token, head and position");
  int64_t vectors = op.getVectors();
  if (vectors != 1 && vectors != 2 && vectors != 4)
    return op.emitOpError("vectors must be 1, 2 or 4, not ") << vectors;
  if (op.getLength() && op.getWindow())
    return op.emitOpError("sees a length or a window of keys, not both");
  return verifyHead(op, op.getQNorm());
}

template <class Op> static LogicalResult verifyHeadResult(Op op) {
  if (isQ8(op.getOut().getType()) && op.getHeadDim() % 32)
    return op.emitOpError("a q8 result needs head_dim to be a multiple of 32, not ") << op.getHeadDim();
  return success();
}

LogicalResult TileAttentionOp::verify() { return failed(verifyAttentionTile(*this)) ? failure() : verifyHeadResult(*this); }

LogicalResult TileAttendChunksOp::verify() { return verifyAttentionTile(*this); }

LogicalResult TileMergeChunksOp::verify() {
  int64_t dims = getHeadDim();
  if (dims <= 0 || dims % 16 || dims > 4096)
    return emitOpError("head_dim must be a multiple of 16 up to 4096, not ") << dims;
  int64_t width = getVectors();
  if (width != 1 && width != 2 && width != 4)
    return emitOpError("vectors must be 1, 2 or 4, not ") << width;
  if (dims % (16 * width))
    return emitOpError("head_dim ") << dims << " must be a multiple of the features of " << width << " vectors";
  if (isQ8(getOut().getType()) && width % 2)
    return emitOpError("a q8 result needs pairs of vectors, not ") << width;
  if (getHeads().empty() || getHeads().size() > 8)
    return emitOpError("needs 1 to 8 heads, not ") << getHeads().size();
  return verifyHeadResult(*this);
}

LogicalResult DotOp::verify() {
  if (getCodes().empty())
    return emitOpError("needs codes");
  int64_t lanes = cast<VectorType>(getInit().getType()).getNumElements();
  auto first = cast<VectorType>(getCodes()[0].getType());
  bool pairs = first.getElementType().isInteger(16);
  auto fits = [&](Value v) { return v.getType() == first; };
  if (cast<VectorType>(getResult().getType()).getNumElements() != lanes || first.getNumElements() != (pairs ? 2 : 4) * lanes ||
      !llvm::all_of(getCodes(), fits) || !llvm::all_of(getActivations(), fits))
    return emitOpError("needs quads of ") << 4 * lanes << " bytes, or pairs of as many, for " << lanes << " lanes";
  if (pairs && !getSignedCodes())
    return emitOpError("takes pairs of signed codes only");
  // Two products of an unsigned code and an activation of up to 127 fit 16 bits, where some targets add them.
  int64_t most = getSignedCodes() ? 255 : 129;
  return signedOf(getCodeMax()) > 0 && signedOf(getCodeMax()) <= most
             ? success()
             : emitOpError("code_max must be in 1 to ") << most << ", not " << signedOf(getCodeMax());
}
