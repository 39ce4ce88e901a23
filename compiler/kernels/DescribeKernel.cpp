//===- DescribeKernel.cpp --------------------------------------------------------------------------------------------===//
#include "compiler/kernels/DescribeKernel.h"
#include "compiler/Passes.h"
#include "compiler/kernels/Items.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// The name that the architecture file gave a weight; in an entry, where weights are gotten, there is none.
static StringRef nameInGraph(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto function = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : nullptr;
  auto name = function ? function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), kArgumentName) : nullptr;
  return name ? name.getValue() : "";
}

/// Whether a kernel's result has a row for each position whose logits are wanted, not for each token.
static bool ofWantedRows(Operation *op) {
  for (Value operand : op->getOperands())
    if (Operation *made = operand.getDefiningOp(); isa_and_nonnull<BufferOp, OutputOp>(made))
      if (auto count = made->getOperand(0).getDefiningOp<CountOp>(); count && count.getRows() == RowCount::Wanted)
        return true;
  return false;
}

KernelAttr heddle::describeKernel(ComputeOp op) {
  KernelCost cost;
  op.addCost(cost);
  int64_t weightBytes = 0, rowBytes = 0, integerMacs = 0, floatMacs = 0, keyBytes = 0;
  for (Value weight : cost.weights) {
    auto type = cast<MemRefType>(weight.getType());
    auto ofRow = [&](int64_t all) { return cost.experts ? all / cost.experts * cost.chosen : all; };
    weightBytes += bytesType(type).getNumElements();
    rowBytes += cost.experts ? ofRow(bytesType(type).getNumElements()) : 0;
    (isQuantized(type.getElementType()) ? integerMacs : floatMacs) += ofRow(type.getNumElements());
  }
  if (cost.keys)
    if (auto state = op->getParentOfType<ModuleOp>().lookupSymbol<StateOp>(cost.keys))
      keyBytes =
          static_cast<int64_t>(state.getKvHeads()) * headPageBytes(state.getHeadDim(), kvType(state.getType())) / kPageTokens;
  std::string role;
  for (Value operand : cost.role)
    if (StringRef name = nameInGraph(operand); !name.empty())
      role += (role.empty() ? "" : "+") + name.str();
  if (role.empty())
    role = cost.weights.empty() ? op->getName().stripDialect().str() : "output";
  std::string name = op->getParentOfType<func::FuncOp>().getName().str() + "." + role;
  return KernelAttr::get(op->getContext(), name, weightBytes, rowBytes, integerMacs, floatMacs,
                         cost.weights.empty() ? 0 : ofWantedRows(op), keyBytes, cost.keyMacs, cost.window);
}
