//===- Attention.cpp - attention and its cache ----------------------------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "ir/dialect/Verify.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringExtras.h"

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

/// A state's geometry is what is stored in it and read from it. `kinds`: those that will do.
template <class Op>
static LogicalResult verifyState(Op op, FlatSymbolRefAttr name, ArrayRef<StateKind> kinds, FlatSymbolRefAttr rope,
                                 std::optional<uint64_t> heads, SymbolTableCollection &symbols) {
  if (name) {
    auto state = symbols.lookupNearestSymbolFrom<StateOp>(op, name);
    if (!state)
      return op.emitOpError("names no declared state: ") << name;
    if (!llvm::is_contained(kinds, state.getKind()))
      return op.emitOpError("takes a ") << llvm::join(
                                               llvm::map_range(kinds, [](StateKind kind) { return stringifyStateKind(kind); }),
                                               " or ")
                                        << " state; " << name << " is " << stringifyStateKind(state.getKind());
    if (state.getKvHeads() != op.getKvHeads() || state.getHeadDim() != op.getHeadDim() || (heads && state.getHeads() != *heads))
      return op.emitOpError("differs from its state in heads, kv_heads or head_dim");
    if (static_cast<bool>(op.getLayer()) != state.getLayers().has_value())
      return op.emitOpError(op.getLayer() ? "names a layer of a state that has none" : "with a state needs a layer");
    llvm::APInt layer;
    if (op.getLayer() && matchPattern(op.getLayer(), m_ConstantInt(&layer)) && !layer.ult(*state.getLayers()))
      return op.emitOpError("layer ") << layer.getSExtValue() << " is none of the " << *state.getLayers() << " of its state";
  } else if (op.getLayer()) {
    return op.emitOpError("names a layer and no state");
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
  if (keys != (getSource() == KeySource::Batch))
    return emitOpError("source ") << stringifyKeySource(getSource())
                                  << (keys ? " takes no keys and values" : " needs keys and values");
  if (!keys && !getState())
    return emitOpError("source ") << stringifyKeySource(getSource()) << " needs a state";
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
  SmallVector<StateKind> kinds;
  if (getSource() == KeySource::Batch)
    kinds = {StateKind::Paged, StateKind::Transient};
  else
    kinds = {getSource() == KeySource::Paged   ? StateKind::Paged
             : getSource() == KeySource::Fixed ? StateKind::Fixed
                                               : StateKind::Transient};
  if (failed(verifyState(*this, getStateAttr(), kinds, getRopeAttr(), getHeads(), symbols)))
    return failure();
  auto state = getState() ? symbols.lookupNearestSymbolFrom<StateOp>(*this, getStateAttr()) : StateOp();
  if (state && state.getKind() == StateKind::Fixed && getMask() != Mask::None)
    return emitOpError("sees all of a fixed state: mask none, not ") << stringifyMask(getMask());
  if (state && state.getKind() == StateKind::Paged && getMask() == Mask::None)
    return emitOpError("with mask none would see more or less of a paged state by how a prompt comes in steps: "
                       "mask causal or window, or a transient state");
  return success();
}

std::optional<StateAccess> AttentionOp::stateAccess() {
  if (!getState())
    return std::nullopt;
  return StateAccess{getStateAttr(), getSource() == KeySource::Batch ? Access::Update : Access::Read};
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
std::string AttentionOp::kernelName() {
  if (getSource() == KeySource::Fixed)
    return "cross_attention";
  return getWindow() ? "attention_window" + std::to_string(getWindow()) : "attention";
}

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
  return verifyState(*this, getStateAttr(), {StateKind::Paged, StateKind::Fixed, StateKind::Transient}, getRopeAttr(),
                     std::nullopt, symbols);
}

std::optional<StateAccess> StoreKvOp::stateAccess() { return StateAccess{getStateAttr(), Access::Write}; }

SmallVector<std::string> StoreKvOp::operandNames() {
  SmallVector<std::string> names{"keys", "values"};
  if (getLayer())
    names.push_back("layer");
  if (getKNorm())
    names.push_back("k_norm");
  if (!getShares().empty())
    names.append({"kv_heads_begin", "kv_heads_end"});
  return names;
}

/// Query heads of the state, which the ranks share.
static int64_t headsOf(StoreKvOp op) {
  auto state = SymbolTable::lookupNearestSymbolFrom<StateOp>(op, op.getStateAttr());
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
