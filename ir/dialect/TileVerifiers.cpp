//===- TileVerifiers.cpp - register tiles: an edited stage must not reach the lowerings in shapes that they do not know
//----------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"

using namespace mlir;
using namespace heddle::ir;

/// f32 rows or, with `q8`, rows of q8 blocks.
static LogicalResult verifyKind(Operation *op, Value rows, StringRef what, bool q8) {
  if (failed(verifyRows(op, rows, what)))
    return failure();
  return !rows || isQ8Buffer(rows.getType()) == q8
             ? success()
             : op->emitOpError() << what << " must be " << (q8 ? "q8" : "f32") << ", not " << rows.getType();
}

template <class Op> static LogicalResult verifyHead(Op op, Value norm) {
  int64_t dims = op.getHeadDim(), rotated = op.getRopeDims();
  if (dims <= 0 || dims % 16 || dims > 4096)
    return op.emitOpError("head_dim must be a multiple of 16 up to 4096, not ") << dims;
  if (static_cast<bool>(norm) != op.getNormEps().has_value())
    return op.emitOpError("a head norm needs its weight and norm_eps");
  if (failed(verifyList(op, norm, "head norm", 0)) || failed(verifyList(op, op.getRope(), "rope", 0)) ||
      failed(verifyList(op, op.getKv(), "kv", 8)))
    return failure();
  if (norm && lastDim(norm.getType()) != dims)
    return op.emitOpError("head norm has ") << lastDim(norm.getType()) << " elements; head_dim is " << dims;
  if (!op.getRope())
    return success();
  if (!op.getStyle() || !op.getRopeOffset())
    return op.emitOpError("rope needs its offset and its style");
  if (rotated <= 0 || rotated > dims || rotated % 16)
    return op.emitOpError("cannot rotate ") << rotated << " of " << dims << " dimensions in this style";
  return success();
}

LogicalResult GatherOp::verify() {
  if (failed(verifyRows(*this, getBuffer(), "buffer")))
    return failure();
  if (signedOf(getRowBytes()) <= 0 || signedOf(getUnits()) <= 0 || signedOf(getUnitBytes()) <= 0)
    return emitOpError("row_bytes, units and unit_bytes must be positive");
  return success();
}

/// What both forms of a product need of their operands.
template <class Op> static LogicalResult verifyProduct(Op op) {
  if (failed(verifyPacked(op, op.getWeights(), op.getFormat())))
    return failure();
  int64_t block = blockElements(op.getFormat());
  if (failed(verifyKind(op, op.getInput(), "input", block > 1)))
    return failure();
  int64_t columns = signedOf(op.getColumns());
  if (columns <= 0 || columns % block || columns > lastDim(op.getInput().getType()))
    return op.emitOpError("cannot take ") << columns << " columns in blocks of " << block << " of an input of "
                                          << lastDim(op.getInput().getType());
  int64_t lanes = signedOf(op.getLanes());
  return lanes == 16 || lanes == 8 ? success() : op.emitOpError("lanes must be 16 or 8, not ") << lanes;
}

LogicalResult TileProductOp::verify() {
  if (failed(verifyProduct(*this)))
    return failure();
  if (signedOf(getAhead()) < 0 || signedOf(getAhead()) > kMostAheadBytes)
    return emitOpError("ahead must be in 0 to ") << kMostAheadBytes << ", not " << signedOf(getAhead());
  if (!getNumResults())
    return emitOpError("needs a token");
  if (int64_t groups = getRowGroups(); groups < 1 || getNumResults() % groups)
    return emitOpError("cannot give ") << groups << " row groups the same number of " << getNumResults() << " accumulators";
  else if (groups > 1 && blockElements(getFormat()) > 1)
    return emitOpError("takes one row group at a time in a quantised format, not ") << groups;
  return success();
}

LogicalResult TileProductPanelOp::verify() {
  if (failed(verifyProduct(*this)))
    return failure();
  if (blockElements(getFormat()) == 1)
    return emitOpError("takes quantised formats, not '") << getFormat() << "'";
  auto sums = dyn_cast<MemRefType>(getSums().getType());
  if (sums && sums.hasStaticShape() && sums.getRank() == 3 && sums.getDimSize(2) == 16 && sums.getElementType().isF32() &&
      sums.getLayout().isIdentity())
    return success();
  return emitOpError("sums must be a buffer [row groups × tokens × 16] of f32 of known size, not ") << getSums().getType();
}

LogicalResult TileQuantizeOp::verify() { return verifyKind(*this, getOut(), "result", true); }

LogicalResult TileQuantizeRowOp::verify() {
  if (failed(verifyKind(*this, getInput(), "input", false)) || failed(verifyKind(*this, getOut(), "result", true)))
    return failure();
  return lastDim(getInput().getType()) == lastDim(getOut().getType()) ? success() : emitOpError("changes the number of features");
}

LogicalResult TileRmsNormOp::verify() {
  if (failed(verifyKind(*this, getInput(), "input", false)) || failed(verifyKind(*this, getResidual(), "residual", false)))
    return failure();
  if (failed(verifyRows(*this, getOut(), "result")) || failed(verifyList(*this, getWeight(), "weight", 0)))
    return failure();
  int64_t features = lastDim(getWeight().getType());
  for (Value rows : {Value(getInput()), Value(getResidual()), Value(getOut())})
    if (rows && lastDim(rows.getType()) != features)
      return emitOpError("weight has ") << features << " elements; rows have " << lastDim(rows.getType());
  return success();
}

LogicalResult TileEmbedOp::verify() {
  if (failed(verifyPacked(*this, getTable(), getFormat())) || failed(verifyKind(*this, getOut(), "result", false)))
    return failure();
  return verifyList(*this, getIds(), "ids", 32);
}

LogicalResult TileCopyRowOp::verify() {
  if (failed(verifyKind(*this, getInput(), "input", false)) || failed(verifyKind(*this, getOut(), "result", false)))
    return failure();
  return lastDim(getInput().getType()) == lastDim(getOut().getType()) ? success() : emitOpError("changes the number of features");
}

LogicalResult TileStoreKvOp::verify() {
  if (failed(verifyKind(*this, getKeys(), "keys", false)) || failed(verifyKind(*this, getValues(), "values", false)))
    return failure();
  return verifyHead(*this, getKNorm());
}

template <class Op> static LogicalResult verifyAttentionTile(Op op) {
  if (failed(verifyKind(op, op.getQuery(), "query", false)) || failed(verifyList(op, op.getPageTable(), "page table", 32)))
    return failure();
  size_t queries = op.getTokens().size();
  if (!queries || queries > 8 || op.getHeads().size() != queries || op.getPositions().size() != queries)
    return op.emitOpError("needs 1 to 8 queries, each with its token, head and position");
  if (static_cast<int64_t>(op.getRows()) < 1)
    return op.emitOpError("rows must be positive");
  int64_t vectors = op.getVectors();
  if (vectors != 1 && vectors != 2 && vectors != 4)
    return op.emitOpError("vectors must be 1, 2 or 4, not ") << vectors;
  if (static_cast<int64_t>(op.getWindow()) < 0)
    return op.emitOpError("window must not be negative");
  return verifyHead(op, op.getQNorm());
}

template <class Op> static LogicalResult verifyHeadResult(Op op) {
  if (failed(verifyRows(op, op.getOut(), "result")))
    return failure();
  if (isQ8Buffer(op.getOut().getType()) && op.getHeadDim() % 32)
    return op.emitOpError("a q8 result needs head_dim to be a multiple of 32, not ") << op.getHeadDim();
  return success();
}

LogicalResult TileAttentionOp::verify() { return failed(verifyAttentionTile(*this)) ? failure() : verifyHeadResult(*this); }

LogicalResult TileAttendChunksOp::verify() {
  return failed(verifyAttentionTile(*this)) ? failure() : verifyList(*this, getPartials(), "partials", 0);
}

LogicalResult TileMergeChunksOp::verify() {
  int64_t dims = getHeadDim();
  if (dims <= 0 || dims % 16 || dims > 4096)
    return emitOpError("head_dim must be a multiple of 16 up to 4096, not ") << dims;
  int64_t width = getVectors();
  if (width != 1 && width != 2 && width != 4)
    return emitOpError("vectors must be 1, 2 or 4, not ") << width;
  if (dims % (16 * width))
    return emitOpError("head_dim ") << dims << " must be a multiple of the features of " << width << " vectors";
  if (isQ8Buffer(getOut().getType()) && width % 2)
    return emitOpError("a q8 result needs pairs of vectors, not ") << width;
  if (getHeads().empty() || getHeads().size() > 8)
    return emitOpError("needs 1 to 8 heads, not ") << getHeads().size();
  return failed(verifyHeadResult(*this)) ? failure() : verifyList(*this, getPartials(), "partials", 0);
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
