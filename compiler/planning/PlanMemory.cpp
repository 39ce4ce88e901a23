//===- PlanMemory.cpp - from values to buffers in one arena ---------------------------------------------------------===//
//
//   %h = heddle.rms_norm %x, %w … -> tensor<?x576x!heddle.q8>
//   %g, … = heddle.linear %h weights(%wg, %wu) gate silu …
// →
//   %h = memref.view %arena[%tokens * 2304 …][%tokens] : memref<?xi8> to memref<?x18x40xi8>
//   heddle.rms_norm %x, %w … outs(%h)
//   heddle.linear %h weights(%wg, %wu) … outs(%g)
//
// Every value becomes rows in one arena, at `tokens × offset` bytes, where offsets come from liveness: rows of values that are
// never alive together overlap. A residual that dies in its op is updated in place; gathers work in place. A block writes its
// result over its input. Weights become views of packed row groups at offsets read at run time. Function arguments:
// planning/Environment.h.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "compiler/planning/Environment.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "runtime/quant/Format.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace heddle::ir;

namespace {
constexpr int64_t kAlignment = 64; // of a buffer's row bytes: cache lines are never shared between buffers

int64_t rowBytes(RankedTensorType type) {
  int64_t features = type.getDimSize(1);
  return llvm::alignTo(isQ8(type) ? features / 32 * 40 : llvm::alignTo(features, 16) * 4, kAlignment);
}

/// [T × features]: f32 rows padded to whole vectors, or q8 blocks of 40 bytes.
MemRefType bufferType(RankedTensorType type) {
  OpBuilder b(type.getContext());
  int64_t features = type.getDimSize(1);
  if (isQ8(type))
    return MemRefType::get({ShapedType::kDynamic, features / 32, 40}, b.getI8Type());
  return MemRefType::get({ShapedType::kDynamic, static_cast<int64_t>(llvm::alignTo(features, 16))}, b.getF32Type());
}

/// A matrix as packed row groups, a vector as it is.
FailureOr<MemRefType> weightBuffer(RankedTensorType type, Operation *at) {
  OpBuilder b(type.getContext());
  StringRef name = formatName(type.getElementType());
  if (type.getRank() == 1) {
    if (name != "f32")
      return at->emitError("vector weights must be f32, not ") << name, failure();
    return MemRefType::get(type.getShape(), b.getF32Type());
  }
  const heddle::FormatTraits &format = heddle::traits(*heddle::formatByName(std::string_view(name.data(), name.size())));
  return MemRefType::get(
      {static_cast<int64_t>(llvm::divideCeil(type.getDimSize(0), heddle::kGroupRows)), format.groupBytes(type.getDimSize(1))},
      b.getI8Type());
}

struct Buffer {
  int64_t bytes, first, last, offset = -1; // a row's bytes; first and last op alive
  bool given;                              // a function argument's: not in the arena
};

struct PlanMemory : heddle::ModulePass<PlanMemory> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlanMemory)
  static constexpr llvm::StringLiteral flag = "heddle-plan-memory";
  static constexpr llvm::StringLiteral summary = "place every value in one arena, by liveness";

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<func::FuncOp> functions(module.getOps<func::FuncOp>());
    int64_t blockBytes = 0, stepBytes = 0;
    for (func::FuncOp function : functions) { // blocks first: the step needs nothing of them but their size
      buffers_.clear(), bufferOf_.clear();
      if (failed(check(function)) || failed(findBuffers(function)))
        return signalPassFailure();
      int64_t bytes = assignOffsets();
      (function.getName() == "step" ? stepBytes : blockBytes) =
          std::max(function.getName() == "step" ? stepBytes : blockBytes, bytes);
      if (failed(rewrite(function, bytes)))
        return signalPassFailure();
    }
    module->setAttr("heddle.arena_bytes_per_token", Builder(&getContext()).getI64IntegerAttr(stepBytes + blockBytes));
  }

  static bool isRows(Value value) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    return type && type.getRank() == 2 && type.isDynamicDim(0);
  }

  /// What an edited stage may lack: one block, named arguments, results that have a place.
  LogicalResult check(func::FuncOp function) {
    bool isStep = function.getName() == "step";
    if (function.isExternal() || !function.getBody().hasOneBlock())
      return function.emitError("function ") << function.getName() << " must have one block";
    llvm::StringSet<> names;
    for (BlockArgument arg : function.getArguments()) {
      auto name = function.getArgAttrOfType<StringAttr>(arg.getArgNumber(), heddle::kArgumentName);
      if (!name || name.getValue().empty())
        return function.emitError("argument ")
               << arg.getArgNumber() << " of " << function.getName() << " has no " << heddle::kArgumentName;
      bool ours = llvm::is_contained(
          {"arena", "scratch", "partials", "kv", "rope", "rope_offsets", "thread", "threads", "context"}, name.getValue());
      if (!names.insert(name.getValue()).second || ours)
        return function.emitError("two arguments of ") << function.getName() << " would be named '" << name.getValue() << "'";
      auto tensor = dyn_cast<RankedTensorType>(arg.getType());
      if (!tensor && !isa<IndexType>(arg.getType()))
        return function.emitError("argument '") << name.getValue() << "' must be a tensor or an index";
      if (tensor && isRows(arg) && (tensor.isDynamicDim(1) || !(tensor.getElementType().isF32() || isQ8(tensor))))
        return function.emitError("argument '") << name.getValue() << "' is no rows of activations: " << tensor;
      if (tensor && !isRows(arg) && !tensor.getElementType().isInteger(32) &&
          (!tensor.hasStaticShape() || tensor.getRank() < 1 || tensor.getRank() > 2 ||
           !(isQuantized(tensor.getElementType()) || tensor.getElementType().isF32() || tensor.getElementType().isF16() ||
             tensor.getElementType().isBF16())))
        return function.emitError("argument '") << name.getValue() << "' is no weight: " << tensor;
      bool list = tensor && tensor.getElementType().isInteger(32), known = list || isa<IndexType>(arg.getType());
      if (isStep && !(known &&
                      llvm::is_contained({"ids", "positions", "sequences", "page_table", "rows", "page_width", "rank", "ranks"},
                                         name.getValue()) &&
                      list != llvm::is_contained({"page_width", "rank", "ranks"}, name.getValue())))
        return function.emitError("step has an argument '")
               << name.getValue() << "' of type " << arg.getType() << " that its callers do not know";
    }
    for (Operation &op : function.front()) {
      if (isStep && isa<StoreKvOp, AttentionOp>(op))
        return op.emitError("attention must stand in a block that step calls");
      if (isa<GetOp>(op) && !isStep)
        return op.emitError("only step gets weights: blocks have them as arguments");
      if (isa<AllGatherOp>(op) && !names.contains("ranks"))
        return op.emitError("function ") << function.getName() << " has no argument 'ranks'";
      if (isa<func::ReturnOp>(op)) {
        if (op.getNumOperands() != 1 || !isRows(op.getOperand(0)))
          return op.emitError("function ") << function.getName() << " must return one value of rows";
        if (isStep && !ofWantedRows(op.getOperand(0)))
          return op.emitError("step must return rows that heddle.select_rows chose");
        continue;
      }
      if (auto call = dyn_cast<func::CallOp>(op)) {
        if (!isStep || call.getCallee() == "step")
          return op.emitError("only step may call blocks");
        if (op.getNumOperands() == 0 || op.getNumResults() != 1 || !isRows(op.getOperand(0)) ||
            op.getOperand(0).getType() != op.getResult(0).getType())
          return op.emitError("a block must take rows as its first operand and return them updated");
      }
      if (!isa<GetOp, func::CallOp>(op))
        for (Value result : op.getResults())
          if (isa<TensorType>(result.getType()) && !isRows(result))
            return op.emitError("cannot be placed in memory yet: ") << result.getType();
      if (op.getNumRegions())
        return op.emitError("a planned function has no nested regions");
    }
    return success();
  }

  /// After select_rows there are as many rows as wanted logits.
  static bool ofWantedRows(Value value) {
    for (Operation *op = value.getDefiningOp(); op; op = op->getOperand(0).getDefiningOp()) {
      if (isa<SelectRowsOp>(op))
        return true;
      if (op->getNumOperands() == 0 || !isRows(op->getOperand(0)))
        return false;
    }
    return false;
  }

  /// Gives every value its buffer: its own, or that of what it updates in place.
  LogicalResult findBuffers(func::FuncOp function) {
    Block &body = function.front();
    llvm::DenseMap<Value, int64_t> lastUse;
    llvm::DenseMap<Operation *, int64_t> number;
    for (auto [i, op] : llvm::enumerate(body)) {
      number[&op] = i;
      for (Value operand : op.getOperands())
        lastUse[operand] = i;
    }
    auto own = [&](Value value, int64_t at, bool given) {
      bufferOf_[value] = buffers_.size();
      buffers_.push_back({rowBytes(cast<RankedTensorType>(value.getType())), at, std::max(at, lastUse.lookup(value)), -1, given});
    };
    auto alias = [&](Value value, Value same) {
      bufferOf_[value] = bufferOf_[same];
      Buffer &buffer = buffers_[bufferOf_[same]];
      buffer.last = std::max(buffer.last, lastUse.lookup(value));
    };
    for (Value argument : function.getArguments())
      if (isRows(argument))
        own(argument, -1, true);
    for (auto [i, op] : llvm::enumerate(body)) {
      int64_t at = i;
      if (auto back = dyn_cast<func::ReturnOp>(op)) {
        Value value = back.getOperand(0);
        if (function.getName() == "step")
          buffers_[bufferOf_[value]].given = true; // the logits are the caller's
        else if (bufferOf_[value] != bufferOf_[function.getArgument(0)])
          return op.emitError("block ") << function.getName()
                                        << " must update its first argument in place: its result has no residual of it";
        continue;
      }
      for (Value result : op.getResults()) {
        if (!isRows(result))
          continue;
        Value residual;
        if (auto linear = dyn_cast<LinearOp>(op))
          residual = linear.getResidual();
        if (auto norm = dyn_cast<RmsNormOp>(op))
          residual = norm.getResidual();
        if (auto gather = dyn_cast<AllGatherOp>(op))
          alias(result, gather.getInput());
        else if (isa<func::CallOp>(op))
          alias(result, op.getOperand(0));
        else if (residual && diesAt(residual, at, body, number))
          alias(result, residual);
        else
          own(result, at, false);
      }
    }
    return success();
  }

  /// True when no value in `value`'s buffer is read after op number `at`, nor twice by that op: as an input too it must stay as
  /// it is.
  bool diesAt(Value value, int64_t at, Block &body, llvm::DenseMap<Operation *, int64_t> &number) {
    int64_t readers = 0;
    for (auto &[other, buffer] : bufferOf_)
      if (buffer == bufferOf_[value])
        for (Operation *user : other.getUsers()) {
          if (number[user] > at)
            return false;
          readers += number[user] == at; // getUsers names an op once per operand
        }
    return readers == 1;
  }

  /// First fit over the intervals in which buffers are alive. Returns the arena's bytes per token.
  int64_t assignOffsets() {
    int64_t total = 0;
    for (Buffer &buffer : buffers_) {
      if (buffer.given)
        continue;
      int64_t offset = 0;
      bool moved = true;
      while (moved) {
        moved = false;
        for (Buffer &other : buffers_)
          if (other.offset >= 0 && other.first <= buffer.last && buffer.first <= other.last &&
              offset < other.offset + other.bytes && other.offset < offset + buffer.bytes) {
            offset = other.offset + other.bytes;
            moved = true;
          }
      }
      buffer.offset = offset;
      total = std::max(total, offset + buffer.bytes);
    }
    return total;
  }

  LogicalResult rewrite(func::FuncOp function, int64_t bytes);
  LogicalResult rewriteOp(Operation &op, OpBuilder &b, IRMapping &map);
  Value view(Value value, OpBuilder &b, IRMapping &map);

  SmallVector<Buffer> buffers_;
  llvm::DenseMap<Value, int64_t> bufferOf_;
  Value arena_, scratch_, tokens_, rows_, logits_; // of the function being rewritten
  int64_t ownBytes_ = 0;
};

/// The new function: buffers for tensors, and the environment.
LogicalResult PlanMemory::rewrite(func::FuncOp function, int64_t bytes) {
  MLIRContext *context = &getContext();
  OpBuilder b(context);
  Location loc = function.getLoc();
  Type index = b.getIndexType();
  Type i8s = MemRefType::get({ShapedType::kDynamic}, b.getI8Type()),
       i32s = MemRefType::get({ShapedType::kDynamic}, b.getI32Type());
  Type i64s = MemRefType::get({ShapedType::kDynamic}, b.getI64Type()),
       f32s = MemRefType::get({ShapedType::kDynamic}, b.getF32Type());
  bool isStep = function.getName() == "step";

  SmallVector<std::pair<StringRef, Type>> arguments;
  llvm::StringMap<Value> old;
  for (BlockArgument arg : function.getArguments()) {
    StringRef name = function.getArgAttrOfType<StringAttr>(arg.getArgNumber(), heddle::kArgumentName).getValue();
    old[name] = arg;
    Type type = arg.getType();
    if (auto tensor = dyn_cast<RankedTensorType>(type)) {
      if (isRows(arg))
        type = bufferType(tensor);
      else if (tensor.getElementType().isInteger(32))
        type = i32s;
      else {
        FailureOr<MemRefType> weight = weightBuffer(tensor, function);
        if (failed(weight))
          return failure();
        type = *weight;
      }
    }
    arguments.push_back({name, type});
  }
  if (isStep)
    arguments = heddle::stepArguments(b.getContext());
  else
    arguments.append({{"arena", i8s},
                      {"scratch", index},
                      {"partials", f32s},
                      {"kv", i8s},
                      {"rope", f32s},
                      {"rope_offsets", i64s},
                      {"thread", index},
                      {"threads", index},
                      {"context", index}});

  SmallVector<Type> types;
  for (auto &[name, type] : arguments)
    types.push_back(type);
  b.setInsertionPoint(function);
  auto planned = b.create<func::FuncOp>(loc, function.getName(), b.getFunctionType(types, {}));
  if (isStep)
    planned->setAttr("llvm.emit_c_interface", b.getUnitAttr());
  else
    planned.setPrivate();
  Block *entry = planned.addEntryBlock();
  IRMapping map;
  for (auto [i, argument] : llvm::enumerate(arguments)) {
    planned.setArgAttr(i, heddle::kArgumentName, b.getStringAttr(argument.first));
    if (Value from = old.lookup(argument.first))
      map.map(from, entry->getArgument(i));
  }
  b.setInsertionPointToEnd(entry);
  Value zero = b.create<arith::ConstantIndexOp>(loc, 0);
  arena_ = heddle::argument(planned, "arena");
  tokens_ = b.create<memref::DimOp>(loc, entry->getArgument(0), zero);
  rows_ = isStep ? b.create<memref::DimOp>(loc, heddle::argument(planned, "rows"), zero) : tokens_;
  logits_ = isStep ? heddle::argument(planned, "logits") : Value();
  scratch_ = isStep ? zero : heddle::argument(planned, "scratch");
  ownBytes_ = bytes;
  for (Operation &op : function.front())
    if (failed(rewriteOp(op, b, map)))
      return failure();
  function.erase();
  return success();
}

/// The buffer of a result: one already made for what it aliases, or a view of the arena.
Value PlanMemory::view(Value value, OpBuilder &b, IRMapping &map) {
  Location loc = value.getLoc();
  int64_t id = bufferOf_[value];
  auto type = bufferType(cast<RankedTensorType>(value.getType()));
  for (auto &[other, buffer] : bufferOf_)
    if (buffer == id && other != value && map.contains(other) && map.lookup(other).getType() == type)
      return map.lookup(other);
  Value count = ofWantedRows(value) ? rows_ : tokens_;
  Value offset;
  if (buffers_[id].given) {
    offset = b.create<arith::ConstantIndexOp>(loc, 0);
    return b.create<memref::ViewOp>(loc, type, logits_, offset, count);
  }
  offset = b.create<arith::MulIOp>(loc, tokens_, b.create<arith::ConstantIndexOp>(loc, buffers_[id].offset));
  offset = b.create<arith::AddIOp>(loc, scratch_, offset);
  return b.create<memref::ViewOp>(loc, type, arena_, offset, count);
}

LogicalResult PlanMemory::rewriteOp(Operation &op, OpBuilder &b, IRMapping &map) {
  Location loc = op.getLoc();
  ModuleOp module = getOperation();
  if (auto get = dyn_cast<GetOp>(op)) {
    int64_t number = heddle::symbolIndex<WeightOp>(module, get.getWeight());
    Operation *function = b.getInsertionBlock()->getParentOp();
    Value offset = b.create<memref::LoadOp>(loc, heddle::argument(function, "weight_offsets"),
                                            ValueRange{b.create<arith::ConstantIndexOp>(loc, number)});
    offset = b.create<arith::IndexCastOp>(loc, b.getIndexType(), offset);
    FailureOr<MemRefType> type = weightBuffer(cast<RankedTensorType>(get.getType()), &op);
    if (failed(type))
      return failure();
    map.map(get.getResult(), b.create<memref::ViewOp>(loc, *type, heddle::argument(function, "weights"), offset, ValueRange{}));
    return success();
  }
  if (auto call = dyn_cast<func::CallOp>(op)) {
    Operation *function = b.getInsertionBlock()->getParentOp();
    SmallVector<Value> operands;
    for (Value operand : call.getOperands())
      operands.push_back(map.lookup(operand));
    Value scratch = b.create<arith::MulIOp>(loc, tokens_, b.create<arith::ConstantIndexOp>(loc, ownBytes_));
    operands.append({arena_, scratch});
    for (StringRef name : {"partials", "kv", "rope", "rope_offsets", "thread", "threads", "context"})
      operands.push_back(heddle::argument(function, name));
    b.create<func::CallOp>(loc, call.getCallee(), TypeRange{}, operands);
    map.map(call.getResult(0), map.lookup(call.getOperand(0)));
    return success();
  }
  if (isa<func::ReturnOp>(op)) {
    b.create<func::ReturnOp>(loc);
    return success();
  }
  if (auto gather = dyn_cast<AllGatherOp>(op)) {
    auto type = cast<RankedTensorType>(gather.getInput().getType());
    b.create<AllGatherOp>(loc, Type(), map.lookup(gather.getInput()),
                          heddle::argument(b.getInsertionBlock()->getParentOp(), "ranks"), cast<ShardAttr>(type.getEncoding()),
                          b.getI64IntegerAttr(type.getDimSize(1)));
    map.map(gather.getResult(), map.lookup(gather.getInput()));
    return success();
  }
  // Every other op keeps its operands, loses its tensor results and gets their buffers in outs.
  SmallVector<Value> outs;
  for (Value result : op.getResults())
    if (isRows(result)) {
      outs.push_back(view(result, b, map));
      map.map(result, outs.back());
    }
  auto mapped = [&](Value value) { return value ? map.lookup(value) : Value(); };
  auto all = [&](ValueRange values) { return llvm::map_to_vector(values, mapped); };
  if (auto linear = dyn_cast<LinearOp>(op)) {
    SmallVector<StringRef> formats;
    SmallVector<int64_t> rows, units;
    for (auto [i, weight] : llvm::enumerate(linear.getWeights())) {
      auto type = cast<RankedTensorType>(weight.getType());
      formats.push_back(formatName(type.getElementType()));
      rows.push_back(type.getDimSize(0));
      auto shard = dyn_cast_or_null<ShardAttr>(
          cast<RankedTensorType>(linear.getResults()[linear.getGate() ? 0 : i].getType()).getEncoding());
      units.push_back(shard ? shard.getSize() : 0);
    }
    b.create<LinearOp>(loc, TypeRange{}, mapped(linear.getInput()), all(linear.getWeights()), mapped(linear.getResidual()),
                       all(linear.getShares()), outs, linear.getGateAttr(), b.getStrArrayAttr(formats),
                       b.getDenseI64ArrayAttr(rows), b.getDenseI64ArrayAttr(units), linear.getWholeWeights());
  } else if (auto norm = dyn_cast<RmsNormOp>(op)) {
    b.create<RmsNormOp>(loc, Type(), mapped(norm.getInput()), mapped(norm.getWeight()), mapped(norm.getResidual()), outs[0],
                        norm.getEpsAttr(), norm.getGroupsAttr());
  } else if (auto embed = dyn_cast<EmbedOp>(op)) {
    StringRef format = formatName(getElementTypeOrSelf(embed.getTable().getType()));
    b.create<EmbedOp>(loc, Type(), mapped(embed.getIds()), mapped(embed.getTable()), outs[0], embed.getScaleAttr(),
                      b.getStringAttr(format));
  } else if (auto select = dyn_cast<SelectRowsOp>(op)) {
    b.create<SelectRowsOp>(loc, Type(), mapped(select.getInput()), mapped(select.getRows()), outs[0]);
  } else if (auto quantize = dyn_cast<QuantizeOp>(op)) {
    b.create<QuantizeOp>(loc, Type(), mapped(quantize.getInput()), outs[0]);
  } else if (auto attention = dyn_cast<AttentionOp>(op)) {
    b.create<AttentionOp>(loc, TypeRange{}, mapped(attention.getQuery()), mapped(attention.getKeys()),
                          mapped(attention.getValues()), mapped(attention.getPositions()), mapped(attention.getSequences()),
                          mapped(attention.getPageTable()), mapped(attention.getLayer()), mapped(attention.getQNorm()),
                          mapped(attention.getBias()), all(attention.getShares()), outs[0], attention.getSourceAttr(),
                          attention.getStateAttr(), attention.getHeadsAttr(), attention.getKvHeadsAttr(),
                          attention.getHeadDimAttr(), attention.getScaleAttr(), attention.getMaskAttr(),
                          attention.getWindowAttr(), attention.getSoftCapAttr(), attention.getNormEpsAttr(),
                          attention.getRopeAttr(), attention.getStyleAttr(), attention.getProbeHeadsAttr());
  } else {
    Operation *clone = b.clone(op, map); // share, constants, store_kv: nothing of theirs is a tensor result
    for (auto [from, to] : llvm::zip(op.getResults(), clone->getResults()))
      map.map(from, to);
  }
  return success();
}
} // namespace

std::unique_ptr<Pass> heddle::createPlanMemoryPass() { return std::make_unique<PlanMemory>(); }
