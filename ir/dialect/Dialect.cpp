//===- Dialect.cpp - types and attributes of the heddle dialect -----------------------------------------------------===//
#include "ir/dialect/Dialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace heddle::ir;

static ParseResult parseFormatName(AsmParser &parser, std::string &format) {
  StringRef word;
  if (parser.parseKeyword(&word)) return failure();
  format = word.str();
  return success();
}
static void printFormatName(AsmPrinter &printer, StringRef format) { printer << format; }

static ParseResult parseUnitName(AsmParser &parser, Unit &unit) {
  StringRef word;
  SMLoc at = parser.getCurrentLocation();
  if (parser.parseKeyword(&word)) return failure();
  std::optional<Unit> known = symbolizeUnit(word);
  if (!known) return parser.emitError(at, "unit must be heads, kv_heads or columns, not ") << word;
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

LogicalResult QuantType::verify(function_ref<InFlightDiagnostic()> emitError, StringRef format) {
  static constexpr StringRef formats[] = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k"};
  if (llvm::is_contained(formats, format)) return success();
  return emitError() << "'" << format << "' is no quantised weight format (q4_0 q4_1 q5_0 q5_1 q8_0 q4_k q5_k q6_k)";
}

bool heddle::ir::isLanes(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector && vector.getRank() == 1 && vector.getDimSize(0) == 16 && vector.getElementType().isF32();
}

StringRef heddle::ir::formatName(Type type) {
  if (auto quant = dyn_cast<QuantType>(type)) return quant.getFormat();
  if (type.isF16()) return "f16";
  if (type.isBF16()) return "bf16";
  return "f32";
}
