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

LogicalResult ShardAttr::verify(function_ref<InFlightDiagnostic()> emitError, Unit unit, int64_t size, int64_t group) {
  if (size <= 0)
    return emitError() << "units of a shard must have features, not " << size;
  return group > 0 && (group == 1 || unit == Unit::KvHeads) ? success()
                                                            : emitError() << "only kv_heads have a group, and a positive one";
}

LogicalResult QuantType::verify(function_ref<InFlightDiagnostic()> emitError, StringRef format) {
  std::optional<heddle::Format> known = formatOf(format);
  if (known && isQuantizedFormat(*known))
    return success();
  return emitError() << "'" << format << "' is no quantised weight format (" << heddle::formatNames(isQuantizedFormat) << ")";
}

LogicalResult PackedType::verify(function_ref<InFlightDiagnostic()> emitError, StringRef format) {
  return isFormatName(format) ? success() : emitError() << "'" << format << "' is no weight format";
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

LogicalResult heddle::ir::verifyOneForm(Operation *op) {
  auto isTensor = [](Type type) { return isa<TensorType>(type); };
  bool tensors = llvm::any_of(op->getOperandTypes(), isTensor) || llvm::any_of(op->getResultTypes(), isTensor);
  if (tensors && isOnBuffers(op))
    return op->emitOpError("mixes tensors and buffers");
  return success();
}

// ---- what values are ----

/// A tensor, or a buffer that is not strided.
static ShapedType plain(Type type, int64_t rank) {
  auto shaped = dyn_cast<ShapedType>(type);
  if (!shaped || !isa<RankedTensorType, MemRefType>(type) || shaped.getRank() != rank)
    return {};
  if (auto buffer = dyn_cast<MemRefType>(type); buffer && !buffer.getLayout().isIdentity())
    return {};
  return shaped;
}
static bool isList(Type type, llvm::function_ref<bool(Type)> element) {
  auto list = dyn_cast_or_null<MemRefType>(plain(type, 1));
  return list && element(list.getElementType());
}

bool heddle::ir::isRealRows(Type type) {
  ShapedType rows = plain(type, 2);
  return rows && rows.isDynamicDim(0) && rows.getElementType().isF32() && rows.getDimSize(1) > 0 &&
         (isa<RankedTensorType>(type) || rows.getDimSize(1) % 16 == 0);
}
bool heddle::ir::isQ8Rows(Type type) {
  ShapedType rows = plain(type, 2);
  return rows && rows.isDynamicDim(0) && isa<Q8Type>(rows.getElementType()) && rows.getDimSize(1) > 0 &&
         rows.getDimSize(1) % 32 == 0;
}
bool heddle::ir::isRows(Type type) { return isRealRows(type) || isQ8Rows(type); }

/// Packed in buffers, of a weight format in tensors.
static bool isWeight(Type type, int64_t rank) {
  ShapedType weight = plain(type, rank);
  if (!weight || !weight.hasStaticShape())
    return false;
  Type element = weight.getElementType();
  if (isa<MemRefType>(type) ? !isa<PackedType>(element) : !isFormatName(formatName(element)) || isa<PackedType>(element))
    return false;
  return lastDim(weight) % blockElements(formatName(element)) == 0;
}
bool heddle::ir::isMatrix(Type type) { return isWeight(type, 2); }
bool heddle::ir::isExperts(Type type) { return isWeight(type, 3); }
bool heddle::ir::isChoices(Type type) {
  ShapedType rows = plain(type, 2);
  return rows && rows.isDynamicDim(0) && rows.getElementType().isInteger(32) && rows.getDimSize(1) > 0;
}
bool heddle::ir::isVector(Type type) {
  ShapedType vector = plain(type, 1);
  return vector && vector.hasStaticShape() && vector.getElementType().isF32();
}
bool heddle::ir::isIndices(Type type) {
  ShapedType list = plain(type, 1);
  return list && list.getElementType().isInteger(32);
}
bool heddle::ir::isByteList(Type type) {
  return isList(type, [](Type element) { return element.isInteger(8); });
}
bool heddle::ir::isFloatList(Type type) {
  return isList(type, [](Type element) { return element.isF32(); });
}

bool heddle::ir::isLanes(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector && vector.getRank() == 1 && vector.getDimSize(0) == 16 && vector.getElementType().isF32();
}

bool heddle::ir::isWithin(Attribute f32, double low, double high) {
  double value = cast<FloatAttr>(f32).getValueAsDouble();
  return value >= low && value <= high;
}

StringRef heddle::ir::formatName(Type type) {
  if (auto quant = dyn_cast<QuantType>(type))
    return quant.getFormat();
  if (auto packed = dyn_cast<PackedType>(type))
    return packed.getFormat();
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
bool heddle::ir::isQuantized(Type type) {
  std::optional<Format> known = formatOf(formatName(type));
  return known && isQuantizedFormat(*known);
}
