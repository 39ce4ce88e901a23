//===- AttentionVerifiers.cpp - attention and its cache --------------------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"

using namespace mlir;
using namespace heddle::ir;

template <class Op> static LogicalResult verifyPrologue(Op op, Value norm) {
  if (static_cast<bool>(norm) != static_cast<bool>(op.getNormEps()))
    return op.emitOpError("a head norm needs its weight and norm_eps");
  if (static_cast<bool>(op.getRope()) != static_cast<bool>(op.getStyle()))
    return op.emitOpError("rope needs its table and its style");
  if (failed(verifyList(op, norm, "head norm", 0)))
    return failure();
  for (auto [list, name] :
       {std::pair(op.getPositions(), "positions"), {op.getSequences(), "sequences"}, {op.getPageTable(), "page table"}})
    if (failed(verifyList(op, list, name, 32)))
      return failure();
  if (norm && lastDim(norm.getType()) != static_cast<int64_t>(op.getHeadDim()))
    return op.emitOpError("head norm has ") << lastDim(norm.getType()) << " elements; head_dim is " << op.getHeadDim();
  return success();
}

template <class Op>
static LogicalResult verifyState(Op op, std::optional<FlatSymbolRefAttr> state, std::optional<FlatSymbolRefAttr> rope,
                                 SymbolTableCollection &symbols) {
  if (state) {
    auto paged = symbols.lookupNearestSymbolFrom<PagedStateOp>(op, *state);
    if (!paged)
      return op.emitOpError("names no declared state: ") << *state;
    if (paged.getKvHeads() != op.getKvHeads() || paged.getHeadDim() != op.getHeadDim())
      return op.emitOpError("differs from its state in kv_heads or head_dim");
  }
  if (!rope)
    return success();
  auto table = symbols.lookupNearestSymbolFrom<RopeTableOp>(op, *rope);
  if (!table)
    return op.emitOpError("names no declared RoPE table: ") << *rope;
  if (table.getDims() > op.getHeadDim())
    return op.emitOpError("table rotates ") << table.getDims() << " dimensions of heads of " << op.getHeadDim();
  return success();
}

LogicalResult AttentionOp::verify() {
  if (signedOf(getHeads()) <= 0 || signedOf(getKvHeads()) <= 0 || getHeads() % getKvHeads())
    return emitOpError() << getHeads() << " query heads do not divide over " << getKvHeads() << " KV heads";
  if (signedOf(getHeadDim()) <= 0)
    return emitOpError("head_dim must be positive, not ") << getHeadDim();
  for (auto [rows, what] : {std::pair(Value(getQuery()), "query"), {Value(getKeys()), "keys"}, {Value(getValues()), "values"}})
    if (rows && (failed(verifyRows(*this, rows, what)) ||
                 (!getElementTypeOrSelf(rows.getType()).isF32() && failed(emitOpError(what) << " must be f32"))))
      return failure();
  if (lastDim(getQuery().getType()) != static_cast<int64_t>(getHeads() * getHeadDim()))
    return emitOpError("query has ") << lastDim(getQuery().getType()) << " features; " << getHeads() << " heads of "
                                     << getHeadDim() << " need " << getHeads() * getHeadDim();
  bool keys = static_cast<bool>(getKeys()), values = static_cast<bool>(getValues());
  if (keys != values)
    return emitOpError("needs both keys and values or neither");
  if (getSource() == KeySource::Paged ? keys : !keys)
    return emitOpError("source ") << stringifyKeySource(getSource())
                                  << (keys ? " takes no keys and values" : " needs keys and values");
  if (getSource() == KeySource::Paged && !getState())
    return emitOpError("source paged needs a state");
  if (getState() && (!getPositions() || !getSequences() || !getPageTable() || !getLayer()))
    return emitOpError("with a state needs positions, sequences, page table and layer");
  if (keys && lastDim(getKeys().getType()) != static_cast<int64_t>(getKvHeads() * getHeadDim()))
    return emitOpError("keys have ") << lastDim(getKeys().getType()) << " features; " << getKvHeads() << " KV heads of "
                                     << getHeadDim() << " need " << getKvHeads() * getHeadDim();
  if ((getMask() == Mask::Window) != (getWindow() > 0))
    return emitOpError("mask window needs a positive window, other masks none");
  if (getSoftCap() && !(getSoftCap()->convertToFloat() > 0))
    return emitOpError("soft_cap must be positive");
  if (!getShares().empty() && getShares().size() != 4)
    return emitOpError("needs [begin, end) of heads and of KV heads as shares");
  for (int64_t head : getProbeHeads().value_or(ArrayRef<int64_t>()))
    if (head < 0 || head >= static_cast<int64_t>(getHeads()))
      return emitOpError("probes head ") << head << " of " << getHeads();
  size_t expected = (getOut() ? 0 : 1) + (getProbeHeads() ? 1 : 0);
  if (getResults().size() != expected)
    return emitOpError("needs ") << expected << " results, not " << getResults().size();
  Value out = getOut() ? Value(getOut()) : Value(getResults()[0]);
  if (failed(verifyRows(*this, out, "result")))
    return failure();
  if (lastDim(out.getType()) != lastDim(getQuery().getType()))
    return emitOpError("query and result differ in features");
  if ((isQ8(out.getType()) || isQ8Buffer(out.getType())) && getHeadDim() % 32)
    return emitOpError("a q8 result needs head_dim to be a multiple of 32, not ") << getHeadDim();
  return verifyPrologue(*this, getQNorm());
}

LogicalResult AttentionOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyState(*this, getStateAttr() ? std::optional(getStateAttr()) : std::nullopt,
                     getRopeAttr() ? std::optional(getRopeAttr()) : std::nullopt, symbols);
}

LogicalResult StoreKvOp::verify() {
  if (failed(verifyRows(*this, getKeys(), "keys")) || failed(verifyRows(*this, getValues(), "values")))
    return failure();
  if (!getElementTypeOrSelf(getKeys().getType()).isF32() || !getElementTypeOrSelf(getValues().getType()).isF32())
    return emitOpError("keys and values must be f32");
  for (Value value : {getKeys(), getValues()})
    if (lastDim(value.getType()) != static_cast<int64_t>(getKvHeads() * getHeadDim()))
      return emitOpError("keys and values must have ")
             << getKvHeads() * getHeadDim() << " features, not " << lastDim(value.getType());
  if (!getShares().empty() && getShares().size() != 2)
    return emitOpError("needs [begin, end) of KV heads as shares");
  return verifyPrologue(*this, getKNorm());
}

LogicalResult StoreKvOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyState(*this, getStateAttr(), getRopeAttr() ? std::optional(getRopeAttr()) : std::nullopt, symbols);
}
