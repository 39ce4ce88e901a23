//===- Check.cpp - what well-formed expectations are ----------------------------------------------------------------===//
#include "ir/check/Check.h"
#include "ir/dialect/Dialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "runtime/quant/Format.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::check;

#include "ir/check/CheckDialect.cpp.inc"
#include "ir/check/CheckEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/check/CheckAttributes.cpp.inc"
#define GET_OP_CLASSES
#include "ir/check/CheckOps.cpp.inc"

void CheckDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/check/CheckAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "ir/check/CheckOps.cpp.inc"
      >();
}

/// A function that is run by itself: nobody calls it and nobody reads what it returns.
static LogicalResult verifyInTest(Operation *op) {
  auto function = dyn_cast<func::FuncOp>(op->getParentOp());
  if (function && !function.getNumArguments() && !function.getNumResults() && llvm::hasSingleElement(function.getBody()))
    return success();
  return op->emitOpError("must stand in a function of one block without arguments and results");
}

static LogicalResult verifyExpected(Operation *op, Type value, ElementsAttr expected, bool doubles) {
  ShapedType type = expected.getShapedType();
  if (!isa<DenseElementsAttr>(expected) || !(type.getElementType().isF32() || (doubles && type.getElementType().isF64())))
    return op->emitOpError("expected elements must be dense<…> of f32") << (doubles ? " or f64" : "") << ", not " << type;
  if (failed(verifyCompatibleShape(value, type)))
    return op->emitOpError("expects a shape that its value cannot have: ") << type;
  return verifyInTest(op);
}

LogicalResult WeightOp::verify() {
  auto module = dyn_cast<ModuleOp>((*this)->getParentOp());
  auto weight = module ? SymbolTable::lookupNearestSymbolFrom<ir::WeightOp>(module, getWeightAttr()) : ir::WeightOp();
  if (!weight)
    return emitOpError("gives the content of ") << getWeightAttr() << ", which is no heddle.weight of this module";
  auto type = cast<RankedTensorType>(weight.getType());
  auto data = dyn_cast<RankedTensorType>(getData().getShapedType());
  if (!data || !isa<DenseElementsAttr>(getData()))
    return emitOpError("needs dense<…> elements");
  if (data == type)
    return success();
  std::optional<Format> format =
      formatByName({ir::formatName(type.getElementType()).data(), ir::formatName(type.getElementType()).size()});
  int64_t rows = type.getRank() == 2 ? type.getDimSize(0) : 1;
  int64_t rowBytes = format ? traits(*format).rowBytes(ir::lastDim(type)) : 0;
  if (data == RankedTensorType::get({rows, rowBytes}, IntegerType::get(getContext(), 8)))
    return success();
  auto refused = emitOpError("needs ");
  if (!ir::isQuantized(type.getElementType()))
    refused << "the elements of " << type << ", or ";
  return refused << "the bytes of its rows, tensor<" << rows << "x" << rowBytes << "xi8>, not " << data;
}

LogicalResult BatchOp::verify() {
  if (failed(verifyInTest(*this)))
    return failure();
  auto others = (*this)->getBlock()->getOps<BatchOp>();
  return llvm::hasSingleElement(others) ? success() : emitOpError("is the second one of its function");
}

LogicalResult InputOp::verify() {
  ShapedType type = getValue().getShapedType();
  Type element = type.getElementType();
  if (!isa<DenseElementsAttr>(getValue()) || !(element.isF32() || element.isInteger(32)))
    return emitOpError("needs dense<…> of f32 or i32, not ") << type;
  if (element != getResult().getType().getElementType() || failed(verifyCompatibleShape(type, getResult().getType())))
    return emitOpError("cannot give ") << type << " as " << getResult().getType();
  return verifyInTest(*this);
}

LogicalResult ExpectEqOp::verify() { return verifyInTest(*this); }
LogicalResult ExpectAlmostEqOp::verify() {
  if (!(getTolerance().convertToDouble() >= 0)) // NaN too
    return emitOpError("tolerance must be 0 or more");
  return verifyExpected(*this, getValue().getType(), getExpected(), true);
}
LogicalResult ExpectBitsOp::verify() { return verifyExpected(*this, getValue().getType(), getExpected(), false); }
