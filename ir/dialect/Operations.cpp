//===- Operations.cpp - generated op definitions --------------------------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace heddle::ir;

#include "ir/dialect/ComputeInterface.cpp.inc"
#define GET_OP_CLASSES
#include "ir/dialect/Ops.cpp.inc"

void HeddleDialect::registerOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/dialect/Ops.cpp.inc"
      >();
}
