//===- GraphBuilder.cpp - writes stage 0 ----------------------------------------------------------------------------===//
#include "compiler/graph/GraphBuilder.h"
#include "compiler/provenance/Provenance.h"
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

OwningOpRef<ModuleOp> GraphBuilder::take() {
  locateInText(*module_, Stage::Graph);
  nameOrigins(*module_);
  return std::move(module_);
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

TensorInfo GraphBuilder::tensorOf(StringRef name, const Shape &shape) {
  const std::string_view asked(name.data(), name.size());
  auto info = model_.tensor(asked);
  if (!info)
    throw CompileError(model_.shownTensor(asked) + " is missing: the file is incomplete, convert or download it again");
  if (withoutOnes(info->shape) != withoutOnes(shape.dims))
    throw CompileError(
        model_.shownTensor(asked) + " is " + shown(info->shape) +
        (model_.checkpoint().kind() == Checkpoint::Kind::Folder ? " where config.json needs " : " where the metadata needs ") +
        shown(shape.dims) + " (" + model_.inItsWords(shape.meaning) + "): the file is inconsistent, " + model_.again());
  return *info;
}

void GraphBuilder::declareRope(StringRef name, int64_t dims, const Rotation &r) {
  auto list = [&](ArrayRef<double> values) {
    return values.empty() ? DenseF64ArrayAttr() : builder_.getDenseF64ArrayAttr(values);
  };
  builder_.create<RopeTableOp>(loc_, builder_.getStringAttr(name), builder_.getF64FloatAttr(r.base),
                               builder_.getI64IntegerAttr(dims), builder_.getF64FloatAttr(r.linearScale), list(r.factors),
                               list(r.longFactors),
                               r.longFactors.empty() ? IntegerAttr() : builder_.getI64IntegerAttr(r.original),
                               r.magnitude == 1 ? FloatAttr() : builder_.getF64FloatAttr(r.magnitude));
}

void GraphBuilder::declareState(StringRef name, int64_t layers, int64_t heads, int64_t kvHeads, int64_t headDim) {
  builder_.create<StateOp>(loc_, ir::StateKind::Paged, name, KvGeometry{layers, heads, kvHeads, headDim});
}

void GraphBuilder::beginEntry(StringRef name) {
  entry_ = builder_.create<func::FuncOp>(loc_, name, builder_.getFunctionType({}, {}));
  builder_.setInsertionPointToEnd(entry_.addEntryBlock());
}

void GraphBuilder::endEntry(ValueRange results) {
  entry_.setFunctionType(builder_.getFunctionType({}, results.getTypes()));
  builder_.create<func::ReturnOp>(loc_, results);
  builder_.setInsertionPointAfter(entry_);
}

/// The bias beside a weight.
static std::string biasOf(StringRef weight) { return weight.drop_back(StringRef("weight").size()).str() + "bias"; }

GraphBuilder::Weight GraphBuilder::weight(StringRef name, const Shape &shape, Bias bias, StringRef tensor, const Part &part) {
  Weight made(declaredWeight(name, shape, tensor, part));
  const std::string beside = biasOf(tensor);
  if (bias == Bias::Needed || (bias == Bias::IfThere && model_.tensor(beside)))
    made.bias = declaredWeight(
        biasOf(name),
        {std::vector<int64_t>(shape.dims.begin(), shape.dims.end() - (shape.dims.size() > 1)), "one for each row of the weight"},
        beside, part);
  return made;
}

Value GraphBuilder::declaredWeight(StringRef name, const Shape &shape, StringRef tensor, const Part &part) {
  Shape whole = shape;
  if (part.of)
    whole.dims.front() = part.rows;
  TensorInfo info = tensorOf(tensor, whole);
  if (part.of)
    info.from = "rows(" + (info.from.empty() ? weightName(std::string_view(tensor.data(), tensor.size())) : info.from) + ", " +
                std::to_string(part.first) + ", " + std::to_string(part.first + shape.dims.front()) + ")";
  std::vector<int64_t> dims = shape.dims;
  if (name.ends_with(".bias") && dims.size() == 2) { // of experts, one after another
    dims = {dims[0] * dims[1]};
    info.from = "flatten(" + (info.from.empty() ? weightName(std::string_view(tensor.data(), tensor.size())) : info.from) + ")";
  }
  Type type = RankedTensorType::get(dims, elementType(builder_.getContext(), info.format));
  if (!module_->lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPoint(*module_->getOps<func::FuncOp>().begin()); // declarations stand before the functions
    builder_.create<WeightOp>(loc_, name, type, ShardAttr(),
                              info.from.empty() ? StringAttr() : builder_.getStringAttr(info.from));
  }
  return builder_.create<GetOp>(loc_, type, name);
}

/// A value, and whether it has a row for each choice.
Value GraphBuilder::made(Value value, bool ofChoices) {
  if (ofChoices)
    ofChoices_.insert(value);
  return value;
}

Value GraphBuilder::batch(BatchList list) {
  return builder_.create<BatchOp>(loc_, RankedTensorType::get({ShapedType::kDynamic}, builder_.getI32Type()), list);
}

Value GraphBuilder::lookUp(BatchList list, Value table, FloatAttr scale) {
  int64_t width = cast<RankedTensorType>(table.getType()).getDimSize(1);
  return builder_.create<EmbedOp>(loc_, rowsType(width), batch(list), table, Value(), scale).getResult();
}
Value GraphBuilder::embed(Value table, float scale) {
  return lookUp(BatchList::Ids, table, scale == 1 ? FloatAttr() : builder_.getF32FloatAttr(scale));
}
Value GraphBuilder::embedPositions(Value table) { return lookUp(BatchList::Positions, table, FloatAttr()); }
Value GraphBuilder::embedTypes(Value table) { return lookUp(BatchList::Types, table, FloatAttr()); }

Value GraphBuilder::linear(Value x, const Weight &w) {
  Type type = rowsType(cast<RankedTensorType>(w.value.getType()).getDimSize(0));
  LinearSpec spec{.results = type, .input = x, .weights = w.value};
  if (w.bias)
    spec.biases = w.bias;
  return builder_.create<LinearOp>(loc_, spec).getResult(0);
}

GraphBuilder::Choices GraphBuilder::chooseExperts(Value scores, int64_t choices, bool overAll) {
  Type number = RankedTensorType::get({ShapedType::kDynamic, choices}, builder_.getI32Type());
  auto op = builder_.create<ChooseExpertsOp>(loc_, TypeRange{rowsType(choices), number}, scores, ValueRange(),
                                             builder_.getI64IntegerAttr(lastDim(scores.getType())),
                                             builder_.getI64IntegerAttr(choices), overAll ? builder_.getUnitAttr() : UnitAttr());
  return {op.getResult(0), op.getResult(1)};
}

Value GraphBuilder::expertLinear(Value x, const Weight &w, const Choices &chosen) {
  Type type = rowsType(cast<RankedTensorType>(w.value.getType()).getDimSize(1));
  LinearSpec spec{.results = type, .input = x, .weights = w.value, .experts = chosen.experts, .byChoice = ofChoices_.contains(x)};
  if (w.bias)
    spec.biases = w.bias;
  return made(builder_.create<LinearOp>(loc_, spec).getResult(0), true);
}

Value GraphBuilder::sumExperts(Value x, const Choices &chosen) {
  int64_t choices = lastDim(chosen.experts.getType());
  return builder_
      .create<SumExpertsOp>(loc_, x.getType(), x, chosen.weights, Value(), Value(), builder_.getI64IntegerAttr(choices))
      .getResult();
}

Value GraphBuilder::rmsNorm(Value x, Value weight, float eps, int64_t groups) {
  return builder_
      .create<RmsNormOp>(loc_, x.getType(), x, weight, Value(), Value(), builder_.getF32FloatAttr(eps),
                         builder_.getI64IntegerAttr(groups))
      .getResult();
}

Value GraphBuilder::layerNorm(Value x, const Weight &w, float eps) {
  return builder_.create<LayerNormOp>(loc_, x.getType(), x, w.value, w.bias, Value(), builder_.getF32FloatAttr(eps)).getResult();
}

Value GraphBuilder::rope(Value x, StringRef table, int64_t heads, RopeStyle style) {
  return builder_.create<RopeOp>(loc_, x.getType(), x, Value(), table, heads, style).getResult();
}

Value GraphBuilder::add(Value a, Value b) { return builder_.create<AddOp>(loc_, a.getType(), a, b, Value()).getResult(); }
Value GraphBuilder::mul(Value a, Value b) {
  return made(builder_.create<MulOp>(loc_, a.getType(), a, b, Value()).getResult(), ofChoices_.contains(a));
}
Value GraphBuilder::scale(Value x, float by) {
  return by == 1 ? x : builder_.create<ScaleOp>(loc_, x.getType(), x, Value(), builder_.getF32FloatAttr(by)).getResult();
}
Value GraphBuilder::activate(Value x, Activation function) {
  return made(builder_.create<ActivateOp>(loc_, x.getType(), x, Value(), function).getResult(), ofChoices_.contains(x));
}

Value GraphBuilder::wantedRows(Value x) {
  return builder_.create<SelectRowsOp>(loc_, x.getType(), x, batch(BatchList::Wanted), Value()).getResult();
}

Value GraphBuilder::pool(Value x, Pooling how) {
  if (how == Pooling::Mean)
    return builder_.create<MeanRowsOp>(loc_, x.getType(), x, batch(BatchList::First), batch(BatchList::Last), Value())
        .getResult();
  Value rows = batch(how == Pooling::First ? BatchList::First : BatchList::Last);
  return builder_.create<SelectRowsOp>(loc_, x.getType(), x, rows, Value()).getResult();
}

Value GraphBuilder::normalize(Value x) {
  constexpr float kLeast = 1e-12f; // as PyTorch's normalize
  return builder_.create<NormalizeOp>(loc_, x.getType(), x, Value(), builder_.getF32FloatAttr(kLeast)).getResult();
}

Value GraphBuilder::attention(Value q, Value k, Value v, const Attention &how) {
  Type type = rowsType(how.heads * how.headDim);
  const bool encoder = how.state.empty();
  auto op = builder_.create<AttentionOp>(
      loc_, AttentionSpec{
                .results = type,
                .query = q,
                .keys = k,
                .values = v,
                .layer = encoder ? Value() : layer_,
                .sinks = how.sinks,
                .state = encoder ? FlatSymbolRefAttr() : FlatSymbolRefAttr::get(builder_.getContext(), how.state),
                .heads = how.heads,
                .kvHeads = how.kvHeads,
                .headDim = how.headDim,
                .window = how.window,
                .scale = how.scale,
                .mask = encoder      ? Mask::None
                        : how.window ? Mask::Window
                                     : Mask::Causal,
                .softCap = how.softCap ? std::optional(how.softCap) : std::nullopt,
            });
  return op.getResult(0);
}

/// What a value is called where stages are shown.
static void nameArguments(func::FuncOp function, ArrayRef<std::string> names) {
  for (auto [i, name] : llvm::enumerate(names))
    function.setArgAttr(i, "heddle.name", StringAttr::get(function.getContext(), name));
}

Value GraphBuilder::block(StringRef kind, int64_t layer, Value x, ArrayRef<Role> roles,
                          const std::function<Value(Value, const Weights &)> &body) {
  SmallVector<Value> weights;
  SmallVector<Type> types{x.getType(), builder_.getIndexType()};
  SmallVector<std::string> names{"x", "layer"};
  std::string key = kind.str();
  auto take = [&](Value weight, const std::string &name) {
    weights.push_back(weight);
    types.push_back(weight.getType());
    names.push_back(name);
    llvm::raw_string_ostream(key) << ' ' << name << ' ' << types.back();
  };
  for (const Role &role : roles) {
    auto named = [&](const char *name) { return "blk." + std::to_string(layer) + "." + name + ".weight"; };
    Weight made = weight(named(role.name), role.shape, role.bias, named(role.part.of ? role.part.of : role.name), role.part);
    take(made.value, role.name);
    if (made.bias)
      take(made.bias, std::string(role.name) + ".bias");
  }
  func::FuncOp &function = blocks_[key];
  if (!function) {
    OpBuilder::InsertionGuard guard(builder_);
    builder_.setInsertionPoint(entry_);
    std::string name = kind.str();
    for (int n = 2; module_->lookupSymbol(name); ++n)
      name = kind.str() + "_" + std::to_string(n);
    function = builder_.create<func::FuncOp>(loc_, name, builder_.getFunctionType(types, x.getType()));
    function.setPrivate();
    nameArguments(function, names);
    mlir::Block *entry = function.addEntryBlock();
    builder_.setInsertionPointToEnd(entry);
    layer_ = entry->getArgument(1);
    auto argument = [&](const std::string &name) {
      const auto *found = llvm::find(names, name);
      return found == names.end() ? Value() : Value(entry->getArgument(static_cast<unsigned>(found - names.begin())));
    };
    auto byRole = [&](StringRef name) -> Weight {
      Weight known(argument(name.str()), argument(name.str() + ".bias"));
      if (!known.value)
        llvm::report_fatal_error("block uses a weight that it does not list: " + name);
      return known;
    };
    Value result = body(entry->getArgument(0), byRole);
    builder_.create<func::ReturnOp>(loc_, result);
    layer_ = Value();
  }
  SmallVector<Value> arguments{x, builder_.create<arith::ConstantIndexOp>(loc_, layer)};
  arguments.append(weights.begin(), weights.end());
  return builder_.create<func::CallOp>(loc_, function, arguments).getResult(0);
}
