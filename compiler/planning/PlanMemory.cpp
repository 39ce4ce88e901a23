//===- PlanMemory.cpp - from values to buffers in one arena ---------------------------------------------------------===//
//
//   func.func private @block(%x: tensor<?x576xf32>, …) -> tensor<?x576xf32> {
//     %h = heddle.rms_norm %x, %w … -> tensor<?x576x!heddle.q8>
//     %y = heddle.linear %h weights(%wo) residual(%x) … -> tensor<?x576xf32>
//     return %y
// →
//   func.func private @block(%x: memref<?x576xf32>, …) {
//     %n = memref.dim %x, 0
//     %h = heddle.buffer 2304 rows(%n) : memref<?x576x!heddle.q8>
//     heddle.rms_norm %x, %w … outs(%h)
//     heddle.linear %h weights(%wo) residual(%x) … outs(%x)       // %x dies here, and every caller knows that it becomes %y
//     return
//
// Every value becomes rows in one arena, `offset` bytes a token from its start, where offsets come from liveness: rows of values
// that are never alive together overlap. A value is updated in place where its op can (ComputeOp::updated), nothing reads it
// later and its buffer is of the same type and may be written; otherwise the result has a place of its own. A block's results are
// further arguments, but for those that take over an argument; a caller whose value must outlive such a call passes a copy. An
// entry's results are the caller's buffers.
//
// Functions stand one after another in the arena along the calls: a block's part begins where the largest of its callers ends.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace heddle::ir;

namespace {
constexpr int64_t kAlignment = 64; // of a buffer's row bytes: cache lines are never shared between buffers

/// What has a place in the arena: rows, and the experts that tokens chose.
bool isPlaced(Type type) { return isRows(type) || isChoices(type); }

/// Rows of f32 padded to whole vectors, or of q8; choices as they are.
MemRefType bufferType(RankedTensorType type) {
  int64_t features = type.getDimSize(1);
  return MemRefType::get({ShapedType::kDynamic, isRealRows(type) ? static_cast<int64_t>(llvm::alignTo(features, 16)) : features},
                         type.getElementType());
}
/// Of `each` rows.
int64_t rowBytes(MemRefType type, int64_t each) {
  int64_t features = type.getDimSize(1);
  return llvm::alignTo(each * (isQ8(type) ? features / 32 * 40 : features * 4), kAlignment);
}
/// A matrix, or a stack of them, as packed row groups, a vector as it is.
MemRefType weightBuffer(RankedTensorType type) {
  if (type.getRank() == 1)
    return MemRefType::get(type.getShape(), type.getElementType());
  return MemRefType::get(type.getShape(), PackedType::get(type.getContext(), formatName(type.getElementType())));
}

/// How many rows a value has: `each` for each row of an argument of its function, or of a count of the batch.
struct RowsLike {
  int64_t argument = -1;
  RowCount count = RowCount::Tokens;
  int64_t each = 1;
  RowsLike times(int64_t factor) const { return {argument, count, each * factor}; }
  /// Whether both are known to differ: of two arguments nothing is known.
  bool differs(RowsLike other) const {
    return argument == other.argument           ? each != other.each || (argument < 0 && count != other.count)
           : argument < 0 || other.argument < 0 ? false
                                                : each != other.each;
  }
};

struct Buffer {
  enum class Place { Arena, Argument, Result } place;
  int64_t number = -1; // of the argument or result
  MemRefType type;
  bool writable; // what it holds may be replaced
  int64_t first, last, offset = -1;
  int64_t each = 1;                                      // rows for each token
  int64_t bytes() const { return rowBytes(type, each); } // a token
};

/// Where one function's values lie.
struct FunctionPlan {
  SmallVector<Buffer> buffers;
  llvm::DenseMap<Value, int64_t> bufferOf;
  llvm::DenseMap<Value, RowsLike> rows;
  SmallVector<int64_t> takesOver;        // for each result: the argument whose buffer holds it, or -1
  llvm::SmallDenseSet<int64_t> ofTokens; // arguments that must have a row for each token of the step
  llvm::DenseSet<OpOperand *> copied;    // of calls and returns: a copy is passed, or made
  int64_t bytes = 0, base = 0;           // of the arena, per token
};

struct PlanMemory : heddle::ModulePass<PlanMemory> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlanMemory)
  static constexpr llvm::StringLiteral flag = "heddle-plan-memory";
  static constexpr llvm::StringLiteral summary = "place every value in one arena, by liveness";

  void runOnOperation() override {
    plans_.clear(), functions_.clear();
    for (auto function : getOperation().getOps<func::FuncOp>())
      functions_[function.getName()] = function;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (failed(check(function)))
        return signalPassFailure();
    SmallVector<func::FuncOp> order; // blocks before those that call them
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (failed(visit(function, order)))
        return signalPassFailure();
    for (func::FuncOp function : order) {
      plan(function);
      if (failed(checkRows(function, plans_[function])))
        return signalPassFailure();
    }
    int64_t total = 0;
    for (func::FuncOp caller : llvm::reverse(order)) {
      FunctionPlan &outer = plans_[caller];
      total = std::max(total, outer.base + outer.bytes);
      caller.walk([&](func::CallOp call) {
        FunctionPlan &inner = plans_[calleeOf(call)];
        inner.base = std::max(inner.base, outer.base + outer.bytes);
      });
    }
    for (func::FuncOp function : order)
      rewrite(function);
    for (func::FuncOp function : order)
      function.erase();
    getOperation()->setAttr("heddle.arena_bytes_per_token", Builder(&getContext()).getI64IntegerAttr(total));
  }

private:
  func::FuncOp calleeOf(func::CallOp call) { return functions_.lookup(call.getCallee()); }

  /// What an edited stage may lack: one block, values that have a place, calls that end.
  LogicalResult check(func::FuncOp function) {
    if (function.isExternal() || !function.getBody().hasOneBlock())
      return function.emitError("function ") << function.getName() << " must have one block";
    if (function.isPublic() && function.getNumArguments())
      return function.emitError("entry ") << function.getName()
                                          << " must have no arguments: what a step is given comes from heddle.batch";
    for (BlockArgument argument : function.getArguments()) {
      Type type = argument.getType();
      if (!isa<IndexType>(type) && !isPlaced(type) && !isMatrix(type) && !isExperts(type) && !isVector(type) && !isIndices(type))
        return function.emitError("argument ")
               << argument.getArgNumber() << " of " << function.getName() << " cannot be placed in memory: " << type;
      if (isa<MemRefType>(type))
        return function.emitError("function ") << function.getName() << " stands on buffers already";
    }
    for (Operation &op : function.front()) {
      if (op.getNumRegions())
        return op.emitError("a planned function has no nested regions");
      if (isa<ComputeOp>(op) && isOnBuffers(&op))
        return op.emitOpError("stands on buffers already");
      if (isa<func::CallOp, ComputeOp, AllGatherOp>(op))
        for (Value result : op.getResults())
          if (!isPlaced(result.getType()))
            return op.emitError("cannot be placed in memory yet: ") << result.getType();
      if (isa<func::ReturnOp>(op))
        for (Value value : op.getOperands())
          if (!isRows(value.getType()) || (function.isPublic() && !isRealRows(value.getType())))
            return op.emitError("function ") << function.getName() << " must return rows, not " << value.getType();
      if (!isa<func::CallOp, func::ReturnOp, ComputeOp, AllGatherOp>(op) &&
          op.getDialect() == function->getContext()->getLoadedDialect<HeddleDialect>() &&
          !isa<GetOp, ShareOp, BatchOp, CountOp, EnvironmentOp>(op))
        return op.emitOpError("does not belong on tensors");
    }
    return success();
  }

  LogicalResult visit(func::FuncOp function, SmallVector<func::FuncOp> &order) {
    if (llvm::is_contained(order, function))
      return success();
    if (!open_.insert(function))
      return function.emitError("function ") << function.getName() << " calls itself";
    WalkResult result = function.walk([&](func::CallOp call) {
      func::FuncOp callee = calleeOf(call);
      if (callee.isPublic())
        return call.emitError("calls the entry ") << callee.getName() << ": only blocks, which are private, can be called",
               WalkResult::interrupt();
      return failed(visit(callee, order)) ? WalkResult::interrupt() : WalkResult::advance();
    });
    open_.remove(function);
    if (!result.wasInterrupted())
      order.push_back(function);
    return failure(result.wasInterrupted());
  }

  // ---- where values lie ----

  /// Arguments may be written if a result takes them over. Which ones do is found by trying with all of them.
  void plan(func::FuncOp function) {
    SmallVector<bool> writable(function.getNumArguments(), !function.isPublic());
    FunctionPlan plan = planWith(function, writable);
    while (true) {
      SmallVector<bool> taken(function.getNumArguments(), false);
      for (int64_t argument : plan.takesOver)
        if (argument >= 0)
          taken[static_cast<size_t>(argument)] = true;
      if (taken == writable)
        break;
      writable = taken;
      plan = planWith(function, writable);
    }
    plans_[function] = std::move(plan);
  }

  FunctionPlan planWith(func::FuncOp function, ArrayRef<bool> writable) {
    FunctionPlan p;
    Block &body = function.front();
    llvm::DenseMap<Operation *, int64_t> number;
    for (auto [i, op] : llvm::enumerate(body))
      number[&op] = static_cast<int64_t>(i);
    auto lastUse = [&](Value value) {
      int64_t last = -1;
      for (Operation *user : value.getUsers())
        last = std::max(last, number[user]);
      return last;
    };
    auto own = [&](Value value, int64_t at, Buffer::Place place, int64_t which, bool mayWrite) {
      p.bufferOf[value] = static_cast<int64_t>(p.buffers.size());
      p.buffers.push_back({place, which, bufferType(cast<RankedTensorType>(value.getType())), mayWrite, at,
                           std::max(at, lastUse(value)), -1, p.rows[value].each});
    };
    auto alias = [&](Value value, Value same) {
      Buffer &buffer = p.buffers[static_cast<size_t>(p.bufferOf[value] = p.bufferOf[same])];
      buffer.last = std::max(buffer.last, lastUse(value));
    };
    /// No value in the buffer is read after op number `at`, and by that op only through `operand`.
    auto diesAt = [&](OpOperand &operand, int64_t at) {
      int64_t id = p.bufferOf[operand.get()];
      if (!p.buffers[static_cast<size_t>(id)].writable)
        return false;
      for (auto &[other, buffer] : p.bufferOf)
        if (buffer == id)
          for (OpOperand &use : other.getUses())
            if (int64_t reader = number[use.getOwner()]; reader > at || (reader == at && &use != &operand))
              return false;
      return true;
    };
    auto fits = [&](Value result, Value in) {
      Buffer &buffer = p.buffers[static_cast<size_t>(p.bufferOf[in])];
      return buffer.type == bufferType(cast<RankedTensorType>(result.getType())) && buffer.each == p.rows[result].each;
    };

    for (BlockArgument argument : function.getArguments())
      if (isPlaced(argument.getType())) {
        p.rows[argument] = {argument.getArgNumber(), RowCount::Tokens};
        own(argument, -1, Buffer::Place::Argument, argument.getArgNumber(), writable[argument.getArgNumber()]);
      }
    for (auto [index, op] : llvm::enumerate(body)) {
      auto at = static_cast<int64_t>(index);
      if (auto gather = dyn_cast<AllGatherOp>(op)) { // it completes the rows where they are
        alias(gather.getResult(), gather.getInput());
        p.rows[gather.getResult()] = p.rows[gather.getInput()];
      }
      if (auto compute = dyn_cast<ComputeOp>(op))
        for (OpResult result : op.getResults()) {
          p.rows[result] = rowsOf(compute, result, p);
          OpOperand *updated = compute.updated(result.getResultNumber());
          if (updated && fits(result, updated->get()) && diesAt(*updated, at))
            alias(result, updated->get());
          else
            own(result, at, Buffer::Place::Arena, -1, true);
        }
      if (auto call = dyn_cast<func::CallOp>(op)) {
        FunctionPlan &callee = plans_[calleeOf(call)];
        for (OpResult result : op.getResults()) {
          int64_t argument = callee.takesOver[result.getResultNumber()];
          p.rows[result] = rowsOf(call, callee.rows[returned(calleeOf(call), result.getResultNumber())], p);
          if (argument < 0) {
            own(result, at, Buffer::Place::Arena, -1, true);
            continue;
          }
          OpOperand &operand = op.getOpOperand(static_cast<unsigned>(argument));
          if (fits(result, operand.get()) && diesAt(operand, at)) {
            alias(result, operand.get());
            continue;
          }
          own(result, at, Buffer::Place::Arena, -1, true); // a copy of the operand goes there first
          p.copied.insert(&operand);
        }
      }
    }
    // Results: a value's own place in the arena becomes the caller's buffer, and so does a written argument's; the rest is
    // copied.
    p.takesOver.assign(function.getNumResults(), -1);
    auto back = cast<func::ReturnOp>(body.getTerminator());
    llvm::SmallDenseSet<int64_t> given;
    for (OpOperand &operand : back->getOpOperands()) {
      Buffer &buffer = p.buffers[static_cast<size_t>(p.bufferOf[operand.get()])];
      bool first = given.insert(p.bufferOf[operand.get()]).second;
      if (first && buffer.place == Buffer::Place::Arena) {
        buffer.place = Buffer::Place::Result;
        buffer.number = operand.getOperandNumber();
      } else if (first && buffer.place == Buffer::Place::Argument && buffer.writable &&
                 writtenIn(function, p, p.bufferOf[operand.get()])) {
        p.takesOver[operand.getOperandNumber()] = buffer.number;
      } else {
        p.copied.insert(&operand);
      }
    }
    p.bytes = assignOffsets(p.buffers);
    return p;
  }

  /// Whether anything else than the argument itself is in its buffer.
  static bool writtenIn(func::FuncOp function, FunctionPlan &p, int64_t id) {
    for (auto &[value, buffer] : p.bufferOf)
      if (buffer == id && !isa<BlockArgument>(value))
        return true;
    return false;
  }

  static Value returned(func::FuncOp function, unsigned result) { return function.front().getTerminator()->getOperand(result); }

  static RowsLike rowsOf(ComputeOp op, OpResult result, FunctionPlan &p) {
    if (std::optional<RowCount> count = op.rowsOf(result.getResultNumber()))
      return {-1, *count};
    return worksOn(op, p).times(op.rowsEach(result));
  }
  /// The rows that an op works on, by its first operand that has some for each of them.
  static RowsLike worksOn(ComputeOp op, FunctionPlan &p) {
    for (Value operand : op->getOperands())
      if (int64_t each = isPlaced(operand.getType()) ? op.rowsEach(operand) : 0) {
        RowsLike rows = p.rows[operand];
        rows.each /= each; // checkRows has seen that it divides
        return rows;
      }
    return {};
  }
  /// A callee's rows in its caller's words.
  static RowsLike rowsOf(func::CallOp call, RowsLike inside, FunctionPlan &p) {
    return inside.argument < 0 ? inside : p.rows[call.getOperand(static_cast<unsigned>(inside.argument))].times(inside.each);
  }

  /// An edited stage may give an op operands of which one has fewer rows than the op would read.
  /// Whether a value has a row for each token of the step; of an argument its function's callers answer.
  static bool isOfTokens(Value value, FunctionPlan &p) {
    const RowsLike &rows = p.rows[value];
    if (rows.argument >= 0)
      p.ofTokens.insert(rows.argument);
    return rows.each == 1 && (rows.argument >= 0 || rows.count == RowCount::Tokens);
  }

  LogicalResult checkRows(func::FuncOp function, FunctionPlan &p) {
    for (Operation &op : function.front()) {
      if (auto call = dyn_cast<func::CallOp>(op))
        for (int64_t argument : plans_[calleeOf(call)].ofTokens)
          if (!isOfTokens(call.getOperand(static_cast<unsigned>(argument)), p))
            return op.emitError("argument ") << argument << " must have a row for each token of the step";
      auto compute = dyn_cast<ComputeOp>(op);
      if (compute && op.getNumResults() && compute.rowsOf(0)) // rows are chosen by tokens' numbers
        for (Value operand : op.getOperands())
          if (isPlaced(operand.getType()) && !isOfTokens(operand, p))
            return op.emitOpError("needs a row for each token of the step");
      if (!compute && isa<func::ReturnOp>(op) && function.isPublic())
        for (Value result : op.getOperands())
          if (p.rows[result].each != 1)
            return op.emitError("entry ") << function.getName() << " cannot return " << p.rows[result].each << " rows a token";
      if (!compute)
        continue;
      RowsLike base = worksOn(compute, p);
      for (Value operand : op.getOperands())
        if (int64_t each = isPlaced(operand.getType()) ? compute.rowsEach(operand) : 0)
          if (p.rows[operand].each % each || p.rows[operand].differs(base.times(each)))
            return op.emitOpError("has operands of different numbers of rows");
    }
    return success();
  }

  /// First fit over the intervals in which buffers are alive. Returns the bytes per token.
  static int64_t assignOffsets(SmallVector<Buffer> &buffers) {
    int64_t total = 0;
    for (Buffer &buffer : buffers) {
      if (buffer.place != Buffer::Place::Arena)
        continue;
      int64_t offset = 0, bytes = buffer.bytes();
      bool moved = true;
      while (moved) {
        moved = false;
        for (Buffer &other : buffers)
          if (other.offset >= 0 && other.first <= buffer.last && buffer.first <= other.last &&
              offset < other.offset + other.bytes() && other.offset < offset + bytes) {
            offset = other.offset + other.bytes();
            moved = true;
          }
      }
      buffer.offset = offset;
      total = std::max(total, offset + bytes);
    }
    return total;
  }

  // ---- the new functions ----

  static Type planned(Type type) {
    if (isPlaced(type))
      return bufferType(cast<RankedTensorType>(type));
    if (isMatrix(type) || isExperts(type) || isVector(type))
      return weightBuffer(cast<RankedTensorType>(type));
    if (isIndices(type))
      return MemRefType::get({ShapedType::kDynamic}, cast<RankedTensorType>(type).getElementType());
    return type;
  }

  void rewrite(func::FuncOp function);
  Value place(Value value, OpBuilder &b, IRMapping &map);
  Value countOf(Value value, OpBuilder &b);
  Value output(Value value, int64_t number, OpBuilder &b);
  void rewriteOp(Operation &op, OpBuilder &b, IRMapping &map);
  void rewriteCall(func::CallOp call, OpBuilder &b, IRMapping &map);
  void rewriteReturn(func::ReturnOp op, OpBuilder &b, IRMapping &map);

  llvm::StringMap<func::FuncOp> functions_; // on tensors, by name
  llvm::DenseMap<func::FuncOp, FunctionPlan> plans_;
  llvm::SetVector<func::FuncOp> open_; // that are being visited
  FunctionPlan *plan_ = nullptr;       // of the function being rewritten
  func::FuncOp made_;
  llvm::DenseMap<int64_t, Value> buffers_;                     // by id: made already
  llvm::MapVector<std::pair<int64_t, int64_t>, Value> counts_; // by argument, or -1 - RowCount, and rows for each
  SmallVector<int64_t> resultArguments_; // by result: the new function's argument that it is written to, or -1
};

void PlanMemory::rewrite(func::FuncOp function) {
  plan_ = &plans_[function];
  buffers_.clear(), counts_.clear();
  OpBuilder b(function);
  SmallVector<Type> types;
  SmallVector<Attribute> names;
  for (BlockArgument argument : function.getArguments()) {
    types.push_back(planned(argument.getType()));
    names.push_back(function.getArgAttr(argument.getArgNumber(), heddle::kArgumentName));
  }
  resultArguments_.assign(function.getNumResults(), -1);
  if (!function.isPublic())
    for (auto [i, argument] : llvm::enumerate(plan_->takesOver))
      if (argument < 0) {
        resultArguments_[i] = static_cast<int64_t>(types.size());
        types.push_back(planned(function.getResultTypes()[i]));
        names.push_back(b.getStringAttr(function.getNumResults() > 1 ? "result" + std::to_string(i) : "result"));
      }
  made_ = b.create<func::FuncOp>(function.getLoc(), function.getName(), b.getFunctionType(types, {}));
  made_.setVisibility(function.getVisibility());
  for (auto [i, name] : llvm::enumerate(names))
    if (name)
      made_.setArgAttr(static_cast<unsigned>(i), heddle::kArgumentName, name);
  Block *entry = made_.addEntryBlock();
  IRMapping map;
  for (BlockArgument argument : function.getArguments())
    map.map(argument, entry->getArgument(argument.getArgNumber()));
  b.setInsertionPointToEnd(entry);
  for (Operation &op : function.front())
    rewriteOp(op, b, map);
}

/// The buffer of a value, made where it is first needed.
Value PlanMemory::place(Value value, OpBuilder &b, IRMapping &map) {
  int64_t id = plan_->bufferOf[value];
  Buffer &buffer = plan_->buffers[static_cast<size_t>(id)];
  Value &made = buffers_[id];
  if (made)
    return made;
  Location loc = value.getLoc();
  if (buffer.place == Buffer::Place::Argument)
    return made = made_.getArgument(static_cast<unsigned>(buffer.number));
  if (buffer.place == Buffer::Place::Result && resultArguments_[static_cast<size_t>(buffer.number)] >= 0)
    return made = made_.getArgument(static_cast<unsigned>(resultArguments_[static_cast<size_t>(buffer.number)]));
  if (buffer.place == Buffer::Place::Result)
    return made = output(value, buffer.number, b);
  return made = b.create<BufferOp>(loc, buffer.type, plan_->base + buffer.offset, countOf(value, b));
}

/// How many rows a value has, looked up once at the function's start.
Value PlanMemory::countOf(Value value, OpBuilder &b) {
  RowsLike rows = plan_->rows[value];
  Value &count = counts_[{rows.argument >= 0 ? rows.argument : -1 - static_cast<int64_t>(rows.count), rows.each}];
  if (count)
    return count;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&made_.front());
  if (rows.argument < 0) {
    count = b.create<CountOp>(value.getLoc(), rows.count);
  } else {
    Value zero = b.create<arith::ConstantIndexOp>(value.getLoc(), 0);
    count = b.create<memref::DimOp>(value.getLoc(), made_.getArgument(static_cast<unsigned>(rows.argument)), zero);
  }
  if (rows.each != 1)
    count = b.create<arith::MulIOp>(value.getLoc(), count, b.create<arith::ConstantIndexOp>(value.getLoc(), rows.each));
  return count;
}

/// The caller's buffer for an entry's result.
Value PlanMemory::output(Value value, int64_t number, OpBuilder &b) {
  auto tensor = cast<RankedTensorType>(value.getType());
  return b.create<OutputOp>(value.getLoc(), bufferType(tensor), number, tensor.getDimSize(1), countOf(value, b));
}

void PlanMemory::rewriteOp(Operation &op, OpBuilder &b, IRMapping &map) {
  Location loc = op.getLoc();
  if (auto call = dyn_cast<func::CallOp>(op))
    return rewriteCall(call, b, map);
  if (auto back = dyn_cast<func::ReturnOp>(op))
    return rewriteReturn(back, b, map);
  if (auto gather = dyn_cast<AllGatherOp>(op)) {
    auto type = cast<RankedTensorType>(gather.getInput().getType());
    Value buffer = map.lookup(gather.getInput());
    b.create<AllGatherOp>(loc, Type(), buffer, cast<ShardAttr>(type.getEncoding()), b.getI64IntegerAttr(type.getDimSize(1)));
    map.map(gather.getResult(), buffer);
    return;
  }
  auto compute = dyn_cast<ComputeOp>(op);
  if (!compute) { // weights, lists of the batch, shares, constants
    Operation *clone = b.clone(op, map);
    for (auto [from, to] : llvm::zip(op.getResults(), clone->getResults())) {
      to.setType(planned(to.getType()));
      map.map(from, to);
    }
    return;
  }
  // The same op, with its results' buffers in outs: its last operands.
  OperationState state(loc, op.getName());
  for (Value operand : op.getOperands())
    state.operands.push_back(map.lookup(operand));
  for (Value result : op.getResults()) {
    Value buffer = place(result, b, map);
    state.operands.push_back(buffer);
    map.map(result, buffer);
  }
  state.attributes = op.getAttrs();
  if (auto segments = op.getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes"); segments && op.getNumResults()) {
    SmallVector<int32_t> sizes(segments.asArrayRef());
    sizes.back() += static_cast<int32_t>(op.getNumResults());
    state.attributes.set("operandSegmentSizes", b.getDenseI32ArrayAttr(sizes));
  }
  cast<ComputeOp>(b.create(state)).keepOf(&op);
}

/// A block's results that take over no argument are passed as further operands. An operand that is taken over, though its value
/// is needed again, is copied to where the result will be.
void PlanMemory::rewriteCall(func::CallOp call, OpBuilder &b, IRMapping &map) {
  FunctionPlan &callee = plans_[calleeOf(call)];
  SmallVector<Value> operands, results;
  for (Value operand : call.getOperands())
    operands.push_back(map.lookup(operand));
  for (OpResult result : call->getResults()) {
    int64_t argument = callee.takesOver[result.getResultNumber()];
    Value buffer = argument < 0 || plan_->copied.contains(&call->getOpOperand(static_cast<unsigned>(argument)))
                       ? place(result, b, map)
                       : operands[static_cast<size_t>(argument)];
    if (argument < 0)
      results.push_back(buffer);
    else if (buffer != operands[static_cast<size_t>(argument)]) {
      b.create<CopyOp>(call.getLoc(), Type(), operands[static_cast<size_t>(argument)], buffer);
      operands[static_cast<size_t>(argument)] = buffer;
    }
    buffers_[plan_->bufferOf[result]] = buffer;
    map.map(result, buffer);
  }
  operands.append(results);
  b.create<func::CallOp>(call.getLoc(), call.getCallee(), TypeRange{}, operands);
}

void PlanMemory::rewriteReturn(func::ReturnOp op, OpBuilder &b, IRMapping &map) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!plan_->copied.contains(&operand))
      continue;
    Value from = map.lookup(operand.get());
    int64_t argument = resultArguments_[operand.getOperandNumber()];
    Value to = argument >= 0 ? Value(made_.getArgument(static_cast<unsigned>(argument)))
                             : output(operand.get(), operand.getOperandNumber(), b);
    b.create<CopyOp>(op.getLoc(), Type(), from, to);
  }
  b.create<func::ReturnOp>(op.getLoc());
}
} // namespace

std::unique_ptr<Pass> heddle::createPlanMemoryPass() { return std::make_unique<PlanMemory>(); }
