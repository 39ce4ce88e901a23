//===- Attention.cpp - attention and its cache ----------------------------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace heddle::ir;

static FloatAttr real(OpBuilder &b, std::optional<float> value) { return value ? b.getF32FloatAttr(*value) : FloatAttr(); }

void AttentionOp::build(OpBuilder &b, OperationState &state, const AttentionSpec &s) {
  build(b, state, s.results, s.query, s.keys, s.values, s.layer, s.queryNorm, s.bias, s.sinks, ValueRange(), Value(),
        KeySourceAttr::get(b.getContext(), s.source), s.state, b.getI64IntegerAttr(s.heads), b.getI64IntegerAttr(s.kvHeads),
        b.getI64IntegerAttr(s.headDim), b.getF32FloatAttr(s.scale), MaskAttr::get(b.getContext(), s.mask),
        b.getI64IntegerAttr(s.window), real(b, s.softCap), real(b, s.normEps), s.rope,
        s.style ? RopeStyleAttr::get(b.getContext(), *s.style) : RopeStyleAttr(), s.probeHeads);
}

void StoreKvOp::build(OpBuilder &b, OperationState &state, const StoreKvSpec &s) {
  build(b, state, s.keys, s.values, s.layer, s.keyNorm, ValueRange(), s.state, b.getI64IntegerAttr(s.kvHeads),
        b.getI64IntegerAttr(s.headDim), real(b, s.normEps), s.rope,
        s.style ? RopeStyleAttr::get(b.getContext(), *s.style) : RopeStyleAttr());
}

template <class Op> static LogicalResult verifyPrologue(Op op, Value norm) {
  if (static_cast<bool>(norm) != static_cast<bool>(op.getNormEps()))
    return op.emitOpError("a head norm needs its weight and norm_eps");
  if (static_cast<bool>(op.getRope()) != static_cast<bool>(op.getStyle()))
    return op.emitOpError("rope needs its table and its style");
  if (norm && lastDim(norm.getType()) != static_cast<int64_t>(op.getHeadDim()))
    return op.emitOpError("head norm has ") << lastDim(norm.getType()) << " elements; head_dim is " << op.getHeadDim();
  return success();
}

/// A state's geometry is what is stored in it and read from it.
template <class Op>
static LogicalResult verifyState(Op op, FlatSymbolRefAttr state, FlatSymbolRefAttr rope, std::optional<uint64_t> heads,
                                 SymbolTableCollection &symbols) {
  if (state) {
    auto paged = symbols.lookupNearestSymbolFrom<PagedStateOp>(op, state);
    if (!paged)
      return op.emitOpError("names no declared state: ") << state;
    if (paged.getKvHeads() != op.getKvHeads() || paged.getHeadDim() != op.getHeadDim() || (heads && paged.getHeads() != *heads))
      return op.emitOpError("differs from its state in heads, kv_heads or head_dim");
    llvm::APInt layer;
    if (op.getLayer() && matchPattern(op.getLayer(), m_ConstantInt(&layer)) && !layer.ult(paged.getLayers()))
      return op.emitOpError("layer ") << layer.getSExtValue() << " is none of the " << paged.getLayers() << " of its state";
  }
  if (!rope)
    return success();
  auto table = symbols.lookupNearestSymbolFrom<RopeTableOp>(op, rope);
  if (!table)
    return op.emitOpError("names no declared RoPE table: ") << rope;
  if (table.getDims() > op.getHeadDim())
    return op.emitOpError("table rotates ") << table.getDims() << " dimensions of heads of " << op.getHeadDim();
  return success();
}

// ---- attention ----

LogicalResult AttentionOp::verify() {
  if (getHeads() % getKvHeads())
    return emitOpError() << getHeads() << " query heads do not divide over " << getKvHeads() << " KV heads";
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
  if (getState() && !getLayer())
    return emitOpError("with a state needs a layer");
  if (keys && lastDim(getKeys().getType()) != static_cast<int64_t>(getKvHeads() * getHeadDim()))
    return emitOpError("keys have ") << lastDim(getKeys().getType()) << " features; " << getKvHeads() << " KV heads of "
                                     << getHeadDim() << " need " << getKvHeads() * getHeadDim();
  if ((getMask() == Mask::Window) != (getWindow() > 0))
    return emitOpError("mask window needs a positive window, other masks none");
  if (getSinks() && lastDim(getSinks().getType()) != static_cast<int64_t>(getHeads()))
    return emitOpError("has ") << lastDim(getSinks().getType()) << " sinks for " << getHeads() << " heads";
  if (getSinks() && getProbeHeads())
    return emitOpError("cannot give the weights of probed heads with sinks yet");
  if (!getShares().empty() && getShares().size() != 4)
    return emitOpError("needs [begin, end) of heads and of KV heads as shares");
  for (int64_t head : getProbeHeads().value_or(ArrayRef<int64_t>()))
    if (head < 0 || head >= static_cast<int64_t>(getHeads()))
      return emitOpError("probes head ") << head << " of " << getHeads();
  size_t expected = (getOut() ? 0 : 1) + (getProbeHeads() ? 1 : 0);
  if (getResults().size() != expected)
    return emitOpError("needs ") << expected << " results, not " << getResults().size();
  Value out = getOut() ? Value(getOut()) : Value(getResults()[0]);
  if (!isRows(out.getType()) || lastDim(out.getType()) != lastDim(getQuery().getType()))
    return emitOpError("query and result differ in features");
  if (isQ8(out.getType()) && getHeadDim() % 32)
    return emitOpError("a q8 result needs head_dim to be a multiple of 32, not ") << getHeadDim();
  return verifyPrologue(*this, getQNorm());
}

LogicalResult AttentionOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyState(*this, getStateAttr(), getRopeAttr(), getHeads(), symbols);
}

SmallVector<std::string> AttentionOp::operandNames() {
  SmallVector<std::string> names{"query"};
  for (auto [operand, name] : {std::pair(Value(getKeys()), "keys"),
                               {Value(getValues()), "values"},
                               {Value(getLayer()), "layer"},
                               {Value(getQNorm()), "q_norm"},
                               {Value(getBias()), "bias"},
                               {Value(getSinks()), "sinks"}})
    if (operand)
      names.push_back(name);
  if (!getShares().empty())
    names.append({"heads_begin", "heads_end", "kv_heads_begin", "kv_heads_end"});
  if (getOut())
    names.push_back("out");
  return names;
}
/// A rank's share must end on a block.
bool AttentionOp::canStoreQuantized(unsigned result) { return result == 0 && getHeadDim() % 32 == 0; }
std::string AttentionOp::kernelName() { return getWindow() ? "attention_window" + std::to_string(getWindow()) : "attention"; }

ShardAttr AttentionOp::unitRead(OpOperand &operand) {
  int64_t dims = getHeadDim(), group = getHeads() / getKvHeads();
  if (operand.get() == getQuery())
    return ShardAttr::get(getContext(), Unit::Heads, dims);
  return operand.get() == getKeys() || operand.get() == getValues() ? ShardAttr::get(getContext(), Unit::KvHeads, dims, group)
                                                                    : ShardAttr();
}
ShardAttr AttentionOp::cut(unsigned result, ShardAttr) {
  return result == 0 ? ShardAttr::get(getContext(), Unit::Heads, getHeadDim()) : ShardAttr();
}
SmallVector<ShareOf> AttentionOp::shares(ArrayRef<ShardAttr>) {
  int64_t heads = getHeads(), kvHeads = getKvHeads();
  return {{heads, 0}, {heads, heads / kvHeads}};
}
void AttentionOp::setShares(ValueRange shares) { getSharesMutable().assign(shares); }

void AttentionOp::addCost(KernelCost &cost) {
  cost.keys = getStateAttr();
  cost.keyMacs = getHeads() * getHeadDim() * 2; // scores, then values
  cost.window = getWindow();
}

// ---- store_kv ----

LogicalResult StoreKvOp::verify() {
  for (Value value : {getKeys(), getValues()})
    if (lastDim(value.getType()) != static_cast<int64_t>(getKvHeads() * getHeadDim()))
      return emitOpError("keys and values must have ")
             << getKvHeads() * getHeadDim() << " features, not " << lastDim(value.getType());
  if (!getShares().empty() && getShares().size() != 2)
    return emitOpError("needs [begin, end) of KV heads as shares");
  return verifyPrologue(*this, getKNorm());
}

LogicalResult StoreKvOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyState(*this, getStateAttr(), getRopeAttr(), std::nullopt, symbols);
}

SmallVector<std::string> StoreKvOp::operandNames() {
  SmallVector<std::string> names{"keys", "values", "layer"};
  if (getKNorm())
    names.push_back("k_norm");
  if (!getShares().empty())
    names.append({"kv_heads_begin", "kv_heads_end"});
  return names;
}

/// Query heads of the state, which the ranks share.
static int64_t headsOf(StoreKvOp op) {
  auto state = SymbolTable::lookupNearestSymbolFrom<PagedStateOp>(op, op.getStateAttr());
  return state ? state.getHeads() : op.getKvHeads();
}
ShardAttr StoreKvOp::unitRead(OpOperand &operand) {
  return operand.get() == getKeys() || operand.get() == getValues()
             ? ShardAttr::get(getContext(), Unit::KvHeads, getHeadDim(), headsOf(*this) / static_cast<int64_t>(getKvHeads()))
             : ShardAttr();
}
SmallVector<ShareOf> StoreKvOp::shares(ArrayRef<ShardAttr>) {
  int64_t heads = headsOf(*this);
  return {{heads, heads / static_cast<int64_t>(getKvHeads())}};
}
void StoreKvOp::setShares(ValueRange shares) { getSharesMutable().assign(shares); }
