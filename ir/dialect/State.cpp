//===- State.cpp - declarations of states, and which entry does what with them --------------------------------------===//
#include "ir/dialect/Verify.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace heddle::ir;

void StateOp::build(OpBuilder &b, OperationState &state, StateKind kind, StringRef name, const KvGeometry &g) {
  build(b, state, kind, name, kind == StateKind::Transient ? IntegerAttr() : b.getI64IntegerAttr(g.layers), g.heads, g.kvHeads,
        g.headDim, 0, g.type);
}

LogicalResult StateOp::verify() {
  const bool recurrent = getKind() == StateKind::Recurrent, transient = getKind() == StateKind::Transient;
  const bool heads = getHeads() && getKvHeads() && getHeadDim(), noHeads = !getHeads() && !getKvHeads() && !getHeadDim();
  if (getLayers().has_value() == transient || (recurrent ? !noHeads : !heads) || (getFeatures() > 0) != recurrent)
    return emitOpError("of kind ") << stringifyStateKind(getKind()) << " needs "
                                   << (recurrent   ? "layers and features, and no heads"
                                       : transient ? "heads, kv_heads and head_dim, and no layers or features"
                                                   : "layers, heads, kv_heads and head_dim, and no features");
  if (!recurrent && getHeads() % getKvHeads())
    return emitOpError() << getHeads() << " query heads do not divide over " << getKvHeads() << " KV heads";
  if (recurrent && getType() != CacheType::F16)
    return emitOpError("rows of a recurrent state are f32: they have no type");
  return success();
}

/// An entry that read what it writes of a fixed state would see more or less of it by how its tokens come in steps.
LogicalResult StateOp::verifySymbolUses(SymbolTableCollection &) {
  if (getKind() != StateKind::Fixed)
    return success();
  for (auto function : (*this)->getParentOfType<ModuleOp>().getOps<func::FuncOp>())
    if (function.isPublic() && !function.isExternal())
      for (const StateAccess &found : stateAccesses(function))
        if (found.state.getValue() == getSymName() && found.access == Access::Update)
          return emitOpError("is fixed, but entry ")
                 << function.getName() << " both writes and reads it: write it in one entry, read it in others";
  return success();
}

// ---- recurrence ----

LogicalResult RecurrenceOp::verify() {
  if (failed(verifyDestination(*this)))
    return failure();
  int64_t features = lastDim(destination(*this).getType());
  for (Value operand : {Value(getKeep()), Value(getInput())})
    if (lastDim(operand.getType()) != features)
      return emitOpError("operands and result differ in features");
  if (!isRealRows(destination(*this).getType()))
    return emitOpError("result must be f32, not ") << destination(*this).getType();
  return getShares().empty() || getShares().size() == 2 ? success() : emitOpError("needs [begin, end) of units as shares");
}

LogicalResult RecurrenceOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto state = symbols.lookupNearestSymbolFrom<StateOp>(*this, getStateAttr());
  if (!state)
    return emitOpError("names no declared state: ") << getStateAttr();
  if (state.getKind() != StateKind::Recurrent)
    return emitOpError("takes a recurrent state; ") << getStateAttr() << " is " << stringifyStateKind(state.getKind());
  int64_t features = lastDim(getInput().getType()), declared = static_cast<int64_t>(state.getFeatures());
  if (features != (getOut() ? static_cast<int64_t>(llvm::alignTo(declared, 16)) : declared))
    return emitOpError("has ") << features << " features; its state has " << declared;
  llvm::APInt layer;
  if (matchPattern(getLayer(), m_ConstantInt(&layer)) && !layer.ult(*state.getLayers()))
    return emitOpError("layer ") << layer.getSExtValue() << " is none of the " << *state.getLayers() << " of its state";
  return success();
}

SmallVector<std::string> RecurrenceOp::operandNames() {
  SmallVector<std::string> names{"keep", "input", "layer"};
  if (!getShares().empty())
    names.append({"begin", "end"});
  if (getOut())
    names.push_back("h");
  return names;
}
std::optional<StateAccess> RecurrenceOp::stateAccess() { return StateAccess{getStateAttr(), Access::Update}; }
OpOperand *RecurrenceOp::updated(unsigned) { return &getInputMutable(); }

/// Features are computed alone: a rank has its units of the operands, of the state and of the result.
ShardAttr RecurrenceOp::unitRead(OpOperand &operand) {
  return operand.get() == getKeep() || operand.get() == getInput() ? ShardAttr::get(getContext(), Unit::Columns, kUnit)
                                                                   : ShardAttr();
}
ShardAttr RecurrenceOp::cut(unsigned, ShardAttr) { return ShardAttr::get(getContext(), Unit::Columns, kUnit); }
SmallVector<ShareOf> RecurrenceOp::shares(ArrayRef<ShardAttr>) {
  auto state = SymbolTable::lookupNearestSymbolFrom<StateOp>(*this, getStateAttr());
  return {{static_cast<int64_t>(llvm::divideCeil(state.getFeatures(), kUnit)), 0}};
}
void RecurrenceOp::setShares(ValueRange shares) { getSharesMutable().assign(shares); }

// ---- entries ----

SmallVector<StateAccess> heddle::ir::stateAccesses(func::FuncOp function) {
  llvm::MapVector<Attribute, std::pair<bool, bool>> found; // by the state's name: read, written
  auto note = [&](FlatSymbolRefAttr state, Access access) {
    auto &[read, written] = found[state];
    read |= access != Access::Write, written |= access != Access::Read;
  };
  llvm::SetVector<Operation *> functions; // each once, though functions may call each other
  functions.insert(function);
  for (size_t i = 0; i < functions.size(); ++i)
    functions[i]->walk([&](Operation *op) {
      if (auto pages = dyn_cast<PagesOp>(op))
        note(pages.getStateAttr(), pages.getAccess());
      else if (auto compute = dyn_cast<ComputeOp>(op)) {
        if (std::optional<StateAccess> access = compute.stateAccess())
          note(access->state, access->access);
      } else if (auto call = dyn_cast<func::CallOp>(op)) {
        if (auto callee = function->getParentOfType<ModuleOp>().lookupSymbol<func::FuncOp>(call.getCallee()))
          functions.insert(callee);
      }
    });
  SmallVector<StateAccess> all;
  for (auto &[state, access] : found)
    all.push_back({cast<FlatSymbolRefAttr>(state), !access.second  ? Access::Read
                                                   : !access.first ? Access::Write
                                                                   : Access::Update});
  return all;
}
