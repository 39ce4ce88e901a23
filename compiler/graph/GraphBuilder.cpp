//===- GraphBuilder.cpp - writes stage 0 ----------------------------------------------------------------------------===//
#include "compiler/graph/GraphBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

static Type elementType(MLIRContext *context, Format format) {
  std::string_view name = traits(format).name;
  return weightElement(context, StringRef(name.data(), name.size()));
}

GraphBuilder::GraphBuilder(MLIRContext *context, const ModelSource &model)
    : model_(model), builder_(context), loc_(builder_.getUnknownLoc()) {
  context->loadDialect<HeddleDialect, func::FuncDialect, arith::ArithDialect>();
  module_ = ModuleOp::create(loc_);
  builder_.setInsertionPointToEnd(module_->getBody());
}

RankedTensorType GraphBuilder::rowsType(int64_t features) {
  return RankedTensorType::get({ShapedType::kDynamic, features}, builder_.getF32Type());
}

static std::string shown(const std::vector<int64_t> &dims) {
  std::string text;
  for (int64_t dim : dims)
    text += (text.empty() ? "" : " × ") + std::to_string(dim);
  return text;
}

/// Writers leave dimensions of 1 out or not: [1, n] is [n].
static ArrayRef<int64_t> withoutOnes(ArrayRef<int64_t> dims) {
  return dims.drop_while([&](const int64_t &dim) { return dim == 1 && &dim != &dims.back(); });
}

Type GraphBuilder::weightType(StringRef name, const Shape &shape) {
  auto info = model_.tensor(std::string_view(name.data(), name.size()));
  if (!info)
    throw CompileError(model_.name() + ": tensor " + name.str() +
                       " is missing: the file is incomplete, convert or download it again");
  if (withoutOnes(info->shape) != withoutOnes(shape.dims))
    throw CompileError(model_.name() + ": tensor " + name.str() + " is " + shown(info->shape) + " where the metadata needs " +
                       shown(shape.dims) + " (" + shape.meaning + "): the file is inconsistent, convert it again");
  if (shape.dims.size() == 1 && info->format != Format::F32)
    throw CompileError(model_.name() + ": tensor " + name.str() + " is a vector of type " +
                       StringRef(traits(info->format).name).upper() + "; vectors must be F32: convert the model again");
  return RankedTensorType::get(shape.dims, elementType(builder_.getContext(), info->format));
}

void GraphBuilder::declareRope(StringRef name, double base, int64_t dims, double linearScale, ArrayRef<double> factors) {
  builder_.create<RopeTableOp>(loc_, builder_.getStringAttr(name), builder_.getF64FloatAttr(base),
                               builder_.getI64IntegerAttr(dims), builder_.getF64FloatAttr(linearScale),
                               factors.empty() ? DenseF64ArrayAttr() : builder_.getDenseF64ArrayAttr(factors));
}

void GraphBuilder::declareState(StringRef name, int64_t layers, int64_t heads, int64_t kvHeads, int64_t headDim) {
  builder_.create<PagedStateOp>(loc_, name, layers, heads, kvHeads, headDim);
}

/// The batch's arguments, the same in `step` and in every block: who the tokens are and where they stand.
static void nameArguments(func::FuncOp function, ArrayRef<const char *> names) {
  for (auto [i, name] : llvm::enumerate(names))
    function.setArgAttr(i, "heddle.name", StringAttr::get(function.getContext(), name));
}

void GraphBuilder::beginStep() {
  Type i32s = RankedTensorType::get({ShapedType::kDynamic}, builder_.getI32Type());
  auto type =
      builder_.getFunctionType({i32s, i32s, i32s, i32s, i32s, builder_.getIndexType()}, {rowsType(model_.vocabularySize())});
  step_ = builder_.create<func::FuncOp>(loc_, "step", type);
  nameArguments(step_, {"ids", "positions", "sequences", "page_table", "rows", "page_width"});
  mlir::Block *entry = step_.addEntryBlock();
  ids_ = entry->getArgument(0), positions_ = entry->getArgument(1), sequences_ = entry->getArgument(2);
  pageTable_ = entry->getArgument(3), rows_ = entry->getArgument(4), pageWidth_ = entry->getArgument(5);
  builder_.setInsertionPointToEnd(entry);
}

void GraphBuilder::endStep(Value logits) {
  step_.setFunctionType(builder_.getFunctionType(step_.getArgumentTypes(), logits.getType()));
  builder_.create<func::ReturnOp>(loc_, logits);
}

Value GraphBuilder::weight(StringRef tensor, const Shape &shape) {
  Type type = weightType(tensor, shape);
  if (!module_->lookupSymbol(tensor)) {
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPoint(*module_->getOps<func::FuncOp>().begin()); // declarations stand before the functions
    builder_.create<WeightOp>(loc_, tensor, type, ShardAttr());
  }
  return builder_.create<GetOp>(loc_, type, tensor);
}

Value GraphBuilder::embed(Value table, float scale) {
  int64_t width = cast<RankedTensorType>(table.getType()).getDimSize(1);
  return builder_
      .create<EmbedOp>(loc_, rowsType(width), ids_, table, Value(), scale == 1 ? FloatAttr() : builder_.getF32FloatAttr(scale),
                       StringAttr())
      .getResult();
}

Value GraphBuilder::linear(Value x, Value weight) {
  int64_t rows = cast<RankedTensorType>(weight.getType()).getDimSize(0);
  auto op = builder_.create<LinearOp>(loc_, TypeRange{rowsType(rows)}, x, ValueRange{weight}, Value(), ValueRange{}, ValueRange{},
                                      ActivationAttr(), ArrayAttr(), DenseI64ArrayAttr(), DenseI64ArrayAttr(), false);
  return op.getResult(0);
}

Value GraphBuilder::rmsNorm(Value x, Value weight, float eps, int64_t groups) {
  return builder_
      .create<RmsNormOp>(loc_, x.getType(), x, weight, Value(), Value(), builder_.getF32FloatAttr(eps),
                         builder_.getI64IntegerAttr(groups))
      .getResult();
}

Value GraphBuilder::rope(Value x, StringRef table, int64_t heads, RopeStyle style) {
  return builder_.create<RopeOp>(loc_, x.getType(), x, positions_, table, heads, style);
}

Value GraphBuilder::add(Value a, Value b) { return builder_.create<AddOp>(loc_, a, b); }
Value GraphBuilder::mul(Value a, Value b) { return builder_.create<MulOp>(loc_, a, b); }
Value GraphBuilder::activate(Value x, Activation function) { return builder_.create<ActivateOp>(loc_, x.getType(), x, function); }

Value GraphBuilder::wantedRows(Value x) {
  return builder_.create<SelectRowsOp>(loc_, x.getType(), x, rows_, Value()).getResult();
}

Value GraphBuilder::attention(Value q, Value k, Value v, const Attention &how) {
  MLIRContext *context = builder_.getContext();
  auto op = builder_.create<AttentionOp>(
      loc_, TypeRange{rowsType(how.heads * how.headDim)}, q, k, v, positions_, sequences_, pageTable_, layer_, Value(), Value(),
      ValueRange{}, Value(), KeySourceAttr::get(context, KeySource::Batch), FlatSymbolRefAttr::get(context, how.state),
      builder_.getI64IntegerAttr(how.heads), builder_.getI64IntegerAttr(how.kvHeads), builder_.getI64IntegerAttr(how.headDim),
      builder_.getF32FloatAttr(how.scale), MaskAttr::get(context, how.window ? Mask::Window : Mask::Causal),
      builder_.getI64IntegerAttr(how.window), how.softCap ? builder_.getF32FloatAttr(how.softCap) : FloatAttr(), FloatAttr(),
      FlatSymbolRefAttr(), RopeStyleAttr(), DenseI64ArrayAttr());
  return op.getResult(0);
}

Value GraphBuilder::block(StringRef kind, int64_t layer, Value x, ArrayRef<Role> roles,
                          const std::function<Value(Value, const Weights &)> &body) {
  SmallVector<Value> weights;
  SmallVector<Type> types{x.getType(),          positions_.getType(), sequences_.getType(),
                          pageTable_.getType(), pageWidth_.getType(), builder_.getIndexType()};
  std::string key = kind.str();
  for (const Role &role : roles) {
    weights.push_back(weight("blk." + std::to_string(layer) + "." + role.name + ".weight", role.shape));
    types.push_back(weights.back().getType());
    llvm::raw_string_ostream(key) << ' ' << types.back();
  }
  func::FuncOp &function = blocks_[key];
  if (!function) {
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPoint(step_);
    std::string name = kind.str();
    for (int n = 2; module_->lookupSymbol(name); ++n)
      name = kind.str() + "_" + std::to_string(n);
    function = builder_.create<func::FuncOp>(loc_, name, builder_.getFunctionType(types, x.getType()));
    function.setPrivate();
    SmallVector<const char *> names{"x", "positions", "sequences", "page_table", "page_width", "layer"};
    for (const Role &role : roles)
      names.push_back(role.name);
    nameArguments(function, names);
    mlir::Block *entry = function.addEntryBlock();
    builder_.setInsertionPointToEnd(entry);
    auto outer = std::tuple(positions_, sequences_, pageTable_, pageWidth_, layer_);
    positions_ = entry->getArgument(1), sequences_ = entry->getArgument(2), pageTable_ = entry->getArgument(3);
    pageWidth_ = entry->getArgument(4), layer_ = entry->getArgument(5);
    auto byRole = [&](StringRef name) -> Value {
      for (auto [i, role] : llvm::enumerate(roles))
        if (name == role.name)
          return entry->getArgument(6 + i);
      llvm::report_fatal_error("block uses a weight that it does not list: " + name);
    };
    Value result = body(entry->getArgument(0), byRole);
    builder_.create<func::ReturnOp>(loc_, result);
    std::tie(positions_, sequences_, pageTable_, pageWidth_, layer_) = outer;
  }
  SmallVector<Value> arguments{x,          positions_, sequences_,
                               pageTable_, pageWidth_, builder_.create<arith::ConstantIndexOp>(loc_, layer)};
  arguments.append(weights.begin(), weights.end());
  return builder_.create<func::CallOp>(loc_, function, arguments).getResult(0);
}
