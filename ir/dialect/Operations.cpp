//===- Operations.cpp - generated op definitions --------------------------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace heddle::ir;

/// Numbers with all of their digits: MLIR prints lists of doubles with seven, and a stage read back would have other tables.
static ParseResult parseDoubles(OpAsmParser &parser, DenseF64ArrayAttr &list) {
  SmallVector<double> values;
  auto one = [&] { return parser.parseFloat(values.emplace_back()); };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, one))
    return failure();
  list = parser.getBuilder().getDenseF64ArrayAttr(values);
  return success();
}
static void printDoubles(OpAsmPrinter &printer, Operation *, DenseF64ArrayAttr list) {
  printer << '[';
  llvm::interleaveComma(list.asArrayRef(), printer, [&](double value) { printer.printFloat(APFloat(value)); });
  printer << ']';
}

#include "ir/dialect/ComputeInterface.cpp.inc"
#define GET_OP_CLASSES
#include "ir/dialect/Ops.cpp.inc"

void HeddleDialect::registerOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/dialect/Ops.cpp.inc"
      >();
}
