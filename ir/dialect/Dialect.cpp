//===- Dialect.cpp - types and attributes of the heddle dialect -----------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/DialectImplementation.h"
#include "runtime/quant/Format.h"
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

static std::optional<heddle::Format> formatOf(StringRef name) { return heddle::formatByName({name.data(), name.size()}); }
static bool isQuantizedFormat(heddle::Format format) { return heddle::traits(format).quantized; }

bool heddle::ir::isFormatName(StringRef name) { return formatOf(name).has_value(); }

int64_t heddle::ir::blockElements(StringRef format) {
  std::optional<Format> known = formatOf(format);
  return known ? traits(*known).blockElements : 1;
}

Type heddle::ir::weightElement(MLIRContext *context, StringRef format) {
  return isQuantizedFormat(*formatOf(format)) ? QuantType::get(context, format) : parseType(format, context);
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
  std::optional<heddle::Format> known = formatOf(format);
  if (known && isQuantizedFormat(*known))
    return success();
  return emitError() << "'" << format << "' is no quantised weight format (" << heddle::formatNames(isQuantizedFormat) << ")";
}

bool heddle::ir::isLanes(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector && vector.getRank() == 1 && vector.getDimSize(0) == 16 && vector.getElementType().isF32();
}

StringRef heddle::ir::formatName(Type type) {
  if (auto quant = dyn_cast<QuantType>(type))
    return quant.getFormat();
  if (!isa<FloatType>(type))
    return "";
  std::string name;
  llvm::raw_string_ostream(name) << type;
  std::optional<Format> known = formatOf(name);
  if (!known || isQuantizedFormat(*known))
    return "";
  std::string_view lasting = traits(*known).name;
  return {lasting.data(), lasting.size()};
}
