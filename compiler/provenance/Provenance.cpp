//===- Provenance.cpp - names ops and reads their names -------------------------------------------------------------===//
#include "compiler/provenance/Provenance.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <map>
#include <set>

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

SmallVector<Origin> heddle::originsOf(Location location) {
  SmallVector<Origin> origins;
  llvm::SmallPtrSet<const void *, 8> seen;
  location->walk([&](Location inner) {
    auto name = dyn_cast<NameLoc>(inner);
    auto line = name ? dyn_cast<FileLineColLoc>(name.getChildLoc()) : FileLineColLoc();
    if (line && seen.insert(name.getAsOpaquePointer()).second) {
      auto [role, layers] = name.getName().getValue().split('@');
      origins.push_back({role, layers, line});
    }
    return WalkResult::advance();
  });
  return origins;
}

std::string heddle::rolesOf(Location location) {
  SmallVector<Origin> origins = originsOf(location);
  auto isThere = [&](StringRef role) { return llvm::any_of(origins, [&](const Origin &o) { return o.role == role; }); };
  std::string all;
  std::set<StringRef> seen;
  for (const Origin &origin : origins)
    if (auto [of, what] = origin.role.rsplit('.'); (what.empty() || !isThere(of)) && seen.insert(origin.role).second)
      all += (all.empty() ? "" : "+") + origin.role.str();
  return all;
}

void heddle::locateInText(ModuleOp module, Stage stage) {
  StageLines lines;
  printStage(module, stage, &lines);
  StringAttr file = StringAttr::get(module.getContext(), stageFileName(stage));
  for (auto [op, line] : lines)
    op->setLoc(FileLineColLoc::get(file, line, 0));
}

namespace {
class Roles {
public:
  explicit Roles(ModuleOp module) : module_(module) {
    module.walk([&](func::CallOp call) { calls_[call.getCallee()].push_back(call); });
    for (auto function : module.getOps<func::FuncOp>())
      for (func::CallOp call : calls_[function.getName()])
        if (KernelAttr kernel = kernelOf(call))
          for (std::string &role : rolesIn(kernel, call))
            if (auto &known = kernels_[function.getName()]; !llvm::is_contained(known, role))
              known.push_back(std::move(role));
    module.walk([&](EmbedOp embed) {
      if (auto table = embed.getTable().getDefiningOp<GetOp>())
        tables_.insert(table.getWeight());
    });
  }

  /// Ops are named in their order.
  void name(Operation *op) {
    Names roles = of(op);
    if (originsOf(op->getLoc()).empty())
      op->setLoc(named(op->getLoc(), roles, layersOf(op)));
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument argument : block.getArguments())
          if (originsOf(argument.getLoc()).empty())
            argument.setLoc(op->getLoc());
  }

private:
  using Names = SmallVector<std::string>;

  static Location named(Location line, const Names &roles, const std::string &layers) {
    auto found = line->findInstanceOf<FileLineColLoc>();
    if (!found)
      return line;
    SmallVector<Location> all;
    for (const std::string &role : roles) {
      std::string name = layers.empty() ? role : role + "@" + layers;
      all.push_back(NameLoc::get(StringAttr::get(line.getContext(), name), found));
    }
    return FusedLoc::get(line.getContext(), all);
  }

  /// The kernel that a call is of: the barrier or gather after it says so.
  static KernelAttr kernelOf(func::CallOp call) {
    for (Operation *next = call->getNextNode(); next && !isa<func::CallOp>(next); next = next->getNextNode()) {
      if (auto barrier = dyn_cast<BarrierOp>(next))
        return barrier.getKernelAttr();
      if (auto gather = dyn_cast<GatherOp>(next))
        return gather.getKernelAttr();
    }
    return {};
  }

  /// Of "decoder_block.attn_q+attn_k": attn_q and attn_k.
  static Names rolesIn(KernelAttr kernel, Operation *from) {
    StringRef name = kernel.getName();
    if (auto function = from->getParentOfType<func::FuncOp>())
      if (StringRef own = function.getName(); name.starts_with(own) && name.drop_front(own.size()).starts_with("."))
        name = name.drop_front(own.size() + 1);
    Names roles;
    for (StringRef role : llvm::split(name, '+'))
      roles.push_back(role.str());
    return roles;
  }

  Names of(Operation *op) {
    auto function = isa<func::FuncOp>(op) ? cast<func::FuncOp>(op) : op->getParentOfType<func::FuncOp>();
    if (auto known = function ? kernels_.find(function.getName()) : kernels_.end(); known != kernels_.end())
      return known->second;
    if (isa<func::FuncOp>(op))
      return {function.getName().str()};
    if (auto weight = dyn_cast<WeightOp>(op))
      return {tensorAndLayer(weight.getSymName()).first.str()};
    if (auto get = dyn_cast<GetOp>(op))
      return {tensorAndLayer(get.getWeight()).first.str()};
    if (auto call = dyn_cast<func::CallOp>(op)) {
      KernelAttr kernel = kernelOf(call);
      return kernel ? rolesIn(kernel, op) : Names{call.getCallee().str()};
    }
    KernelAttr kernel = isa<BarrierOp>(op)  ? cast<BarrierOp>(op).getKernelAttr()
                        : isa<GatherOp>(op) ? cast<GatherOp>(op).getKernelAttr()
                                            : KernelAttr();
    if (kernel)
      return rolesIn(kernel, op);
    Names weights = weightsOf(op);
    const std::string kind = mnemonic(op), before = weights.empty() ? weightBefore(op) : "";
    if (isa<ComputeOp>(op))
      weightOf_[op] = !weights.empty() ? weights.back() : before.empty() ? kind : before;
    return !weights.empty() ? weights : Names{before.empty() ? kind : before + "." + kind};
  }

  static std::string mnemonic(Operation *op) { return op->getName().stripDialect().str(); }

  /// "blk.3.attn_q.weight" is attn_q.weight of layer 3.
  static std::pair<StringRef, StringRef> tensorAndLayer(StringRef tensor) {
    StringRef layer, rest = tensor;
    if (rest.consume_front("blk."))
      std::tie(layer, rest) = rest.split('.');
    if (rest.empty() || layer.find_first_not_of("0123456789") != StringRef::npos)
      layer = "", rest = tensor;
    return {rest, layer};
  }

  /// The names of the weights that an op is there for, the first one's first; none without any.
  Names weightsOf(Operation *op) const {
    SmallVector<Value> weights;
    if (auto compute = dyn_cast<ComputeOp>(op)) {
      KernelCost cost;
      compute.addCost(cost);
      weights = cost.role;
    }
    Names names;
    if (auto embed = dyn_cast<EmbedOp>(op))
      weights.push_back(embed.getTable());
    else if (auto attention = dyn_cast<AttentionOp>(op); attention && attention.getQNorm())
      names.push_back(mnemonic(op)), weights.push_back(attention.getQNorm()); // it took a norm over
    else if (auto store = dyn_cast<StoreKvOp>(op); store && store.getKNorm())
      names.push_back(mnemonic(op)), weights.push_back(store.getKNorm());
    for (Value weight : weights)
      if (std::string name = nameOf(weight, op); !name.empty())
        names.push_back(name);
    return names;
  }

  std::string nameOf(Value weight, Operation *reader) const {
    if (auto get = weight.getDefiningOp<GetOp>()) {
      if (isa<LinearOp>(reader) && tables_.contains(get.getWeight()))
        return "output"; // the head, tied to the table that tokens are embedded by
      StringRef tensor = tensorAndLayer(get.getWeight()).first;
      tensor.consume_back(".weight");
      return tensor.str();
    }
    auto argument = dyn_cast<BlockArgument>(weight);
    auto function = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : nullptr;
    auto name = function ? function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), kArgumentName) : nullptr;
    return name ? name.getValue().str() : "";
  }

  /// The weight of the op that made the last operand which a compute op made, or of those before it. What goes through a state
  /// has a name of its own.
  std::string weightBefore(Operation *op) const {
    if (!isa<ComputeOp>(op) || isa<AttentionOp, StoreKvOp>(op))
      return "";
    for (Value operand : llvm::reverse(op->getOperands())) {
      Operation *maker = operand.getDefiningOp();
      if (auto gather = dyn_cast_or_null<AllGatherOp>(maker))
        maker = gather.getInput().getDefiningOp();
      if (auto found = weightOf_.find(maker); found != weightOf_.end())
        return found->second;
    }
    return "";
  }

  /// The layers that call the function of `op`, or that `op` itself says.
  std::string layersOf(Operation *op) {
    if (auto weight = dyn_cast<WeightOp>(op))
      return tensorAndLayer(weight.getSymName()).second.str();
    if (auto get = dyn_cast<GetOp>(op))
      return tensorAndLayer(get.getWeight()).second.str();
    std::set<int64_t> layers;
    auto function = isa<func::FuncOp>(op) ? cast<func::FuncOp>(op) : op->getParentOfType<func::FuncOp>();
    if (auto call = dyn_cast<func::CallOp>(op); call && layerOf(call))
      layers.insert(*layerOf(call));
    else if (function)
      layers = layersOfFunction(function.getName(), 0);
    return asRanges(layers);
  }

  /// The constant that a call of a block passes as `layer`.
  std::optional<int64_t> layerOf(func::CallOp call) {
    auto function = module_.lookupSymbol<func::FuncOp>(call.getCallee());
    for (auto [i, operand] : llvm::enumerate(call.getOperands()))
      if (function && i < function.getNumArguments())
        if (auto name = function.getArgAttrOfType<StringAttr>(static_cast<unsigned>(i), kArgumentName); name && name == "layer")
          if (auto constant = operand.getDefiningOp<arith::ConstantIndexOp>())
            return constant.value();
    return std::nullopt;
  }

  const std::set<int64_t> &layersOfFunction(StringRef name, int depth) {
    auto [found, fresh] = layers_.try_emplace(name);
    if (!fresh || depth == 16) // functions that call each other for ever are refused elsewhere
      return found->second;
    std::set<int64_t> all;
    for (func::CallOp call : calls_[name]) {
      if (auto layer = layerOf(call)) {
        all.insert(*layer);
        continue;
      }
      auto caller = call->getParentOfType<func::FuncOp>();
      if (!caller) // an edited stage may call a function outside of all
        continue;
      const std::set<int64_t> &further = layersOfFunction(caller.getName(), depth + 1);
      all.insert(further.begin(), further.end());
    }
    return layers_[name] = std::move(all);
  }

  static std::string asRanges(const std::set<int64_t> &layers) {
    std::string text;
    for (auto it = layers.begin(); it != layers.end();) {
      int64_t first = *it, last = first;
      while (++it != layers.end() && *it == last + 1)
        last = *it;
      text += (text.empty() ? "" : ",") + std::to_string(first) + (last > first ? "-" + std::to_string(last) : "");
    }
    return text;
  }

  ModuleOp module_;
  std::map<StringRef, SmallVector<func::CallOp>> calls_; // by callee
  std::map<StringRef, Names> kernels_;                   // by function: what it is called for
  std::map<StringRef, std::set<int64_t>> layers_;        // by function
  std::set<StringRef> tables_;                           // weights that tokens are embedded by
  llvm::DenseMap<Operation *, std::string> weightOf_;    // of each compute op named so far, or its kind
};
} // namespace

void heddle::nameOrigins(ModuleOp module) {
  Roles roles(module);
  module->walk<WalkOrder::PreOrder>([&](Operation *op) { roles.name(op); });
}
