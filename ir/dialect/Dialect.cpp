//===- Dialect.cpp - types and attributes of the heddle dialect -----------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace heddle::ir;

static ParseResult parseFormatName(AsmParser &parser, std::string &format) {
  StringRef word;
  if (parser.parseKeyword(&word))
    return failure();
  format = word.str();
  return success();
}
static void printFormatName(AsmPrinter &printer, StringRef format) { printer << format; }

static ParseResult parseUnitName(AsmParser &parser, Unit &unit) {
  StringRef word;
  SMLoc at = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return failure();
  std::optional<Unit> known = symbolizeUnit(word);
  if (!known)
    return parser.emitError(at, "unit must be heads, kv_heads or columns, not ") << word;
  unit = *known;
  return success();
}
static void printUnitName(AsmPrinter &printer, Unit unit) { printer << stringifyUnit(unit); }

#include "ir/dialect/Dialect.cpp.inc"
#include "ir/dialect/Enums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "ir/dialect/Types.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "ir/dialect/Attributes.cpp.inc"

void HeddleDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "ir/dialect/Types.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "ir/dialect/Attributes.cpp.inc"
      >();
  registerOps();
}

static constexpr StringRef quantized[] = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k"};

bool heddle::ir::isFormatName(StringRef name) {
  return llvm::is_contained(quantized, name) || name == "f32" || name == "f16" || name == "bf16";
}

LogicalResult ShardAttr::verify(function_ref<InFlightDiagnostic()> emitError, Unit, int64_t size) {
  return size > 0 ? success() : emitError() << "units of a shard must have features, not " << size;
}

/// The module that passes run on. While MLIR parses a `module { … }` this stands alone in another one.
static bool isOutermost(Operation *op) {
  if (!isa_and_nonnull<ModuleOp>(op))
    return false;
  Operation *parent = op->getParentOp();
  return !parent || (isa<ModuleOp>(parent) && !parent->getParentOp() && llvm::hasSingleElement(*op->getBlock()));
}

LogicalResult heddle::ir::verifyInFunction(Operation *op) {
  auto function = op->getParentOfType<func::FuncOp>();
  return function && isOutermost(function->getParentOp()) ? success()
                                                          : op->emitOpError("must stand in a function of the outermost module");
}

LogicalResult heddle::ir::verifyInModule(Operation *op) {
  return isOutermost(op->getParentOp()) ? success() : op->emitOpError("must stand in the outermost module");
}

LogicalResult QuantType::verify(function_ref<InFlightDiagnostic()> emitError, StringRef format) {
  if (llvm::is_contained(quantized, format))
    return success();
  return emitError() << "'" << format << "' is no quantised weight format (q4_0 q4_1 q5_0 q5_1 q8_0 q4_k q5_k q6_k)";
}

bool heddle::ir::isLanes(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector && vector.getRank() == 1 && vector.getDimSize(0) == 16 && vector.getElementType().isF32();
}

StringRef heddle::ir::formatName(Type type) {
  if (auto quant = dyn_cast<QuantType>(type))
    return quant.getFormat();
  if (type.isF16())
    return "f16";
  if (type.isBF16())
    return "bf16";
  return "f32";
}
