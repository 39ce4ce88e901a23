//===- Environment.cpp - what a step is given, and where it runs ----------------------------------------------------===//
#include "ir/dialect/Dialect.h"

using namespace mlir;
using namespace heddle::ir;

LogicalResult GetOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight)
    return emitOpError("names no declared weight: ") << getWeightAttr();
  auto declared = cast<RankedTensorType>(weight.getType());
  if (isa<RankedTensorType>(getType()))
    return declared == getType() ? success() : emitOpError("has type ") << getType() << " but the weight is " << declared;
  auto buffer = cast<MemRefType>(getType());
  if (buffer.getShape() == declared.getShape() && formatName(buffer.getElementType()) == formatName(declared.getElementType()))
    return success();
  return emitOpError("has type ") << getType() << " but the weight is " << declared;
}

LogicalResult OutputOp::verify() {
  auto function = (*this)->getParentOfType<func::FuncOp>();
  if (!function.isPublic())
    return emitOpError("belongs in an entry, a public function");
  int64_t features = cast<ShapedType>(getType()).getDimSize(1);
  return features == static_cast<int64_t>(llvm::alignTo(getColumns(), 16))
             ? success()
             : emitOpError("pads ") << getColumns() << " columns to " << features;
}

LogicalResult PagesOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return symbols.lookupNearestSymbolFrom<StateOp>(*this, getStateAttr())
             ? success()
             : emitOpError("names no declared state: ") << getStateAttr();
}

LogicalResult LengthsOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto state = symbols.lookupNearestSymbolFrom<StateOp>(*this, getStateAttr());
  if (!state)
    return emitOpError("names no declared state: ") << getStateAttr();
  return state.getKind() == StateKind::Recurrent ? emitOpError("a recurrent state has rows, not positions: ") << getStateAttr()
                                                 : success();
}

LogicalResult AnglesOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return symbols.lookupNearestSymbolFrom<RopeTableOp>(*this, getTableAttr())
             ? success()
             : emitOpError("names no declared RoPE table: ") << getTableAttr();
}
