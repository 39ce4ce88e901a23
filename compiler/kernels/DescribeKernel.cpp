//===- DescribeKernel.cpp --------------------------------------------------------------------------------------------===//
#include "compiler/kernels/DescribeKernel.h"
#include "compiler/kernels/Items.h"

using namespace mlir;
using namespace heddle;
using namespace heddle::ir;

/// The name that the architecture file gave a weight; in `step`, where weights are views, there is none.
static StringRef argumentName(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto function = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : nullptr;
  auto name = function ? function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), kArgumentName) : nullptr;
  return name ? name.getValue() : "";
}

/// Whether a buffer has a row for each position whose logits are wanted, not for each token.
static bool ofWantedRows(Value buffer) {
  auto view = buffer.getDefiningOp<memref::ViewOp>();
  auto dim = view && !view.getSizes().empty() ? view.getSizes()[0].getDefiningOp<memref::DimOp>() : nullptr;
  return dim && argumentName(dim.getSource()) == "rows";
}

KernelAttr heddle::describeKernel(Operation *op) {
  std::string role = op->getName().stripDialect().str();
  int64_t weightBytes = 0, integerMacs = 0, floatMacs = 0, wanted = 0, keyBytes = 0, keyMacs = 0, window = 0;
  if (auto linear = dyn_cast<LinearOp>(op)) {
    std::string names;
    for (auto [weight, rows, format] :
         llvm::zip(linear.getWeights(), *linear.getRows(), linear.getFormats()->getAsValueRange<StringAttr>())) {
      auto type = cast<MemRefType>(weight.getType());
      const FormatTraits &known = traits(*formatByName(std::string_view(format.data(), format.size())));
      int64_t groups = llvm::divideCeil(rows, kGroupRows), columns = type.getDimSize(1) / known.packedBytes * known.blockElements;
      weightBytes += groups * type.getDimSize(1);
      (known.quantized ? integerMacs : floatMacs) += rows * columns;
      if (StringRef name = argumentName(weight); !name.empty())
        names += (names.empty() ? "" : "+") + name.str();
    }
    role = names.empty() ? "output" : names;
    wanted = ofWantedRows(linear.getOuts()[0]);
  } else if (auto norm = dyn_cast<RmsNormOp>(op)) {
    if (StringRef name = argumentName(norm.getWeight()); !name.empty())
      role = name;
  } else if (auto attention = dyn_cast<AttentionOp>(op)) {
    auto state = op->getParentOfType<ModuleOp>().lookupSymbol<PagedStateOp>(attention.getState().value_or(""));
    if (state)
      keyBytes = attention.getKvHeads() * headPageBytes(attention.getHeadDim(), kvType(state.getType())) / kPageTokens;
    keyMacs = attention.getHeads() * attention.getHeadDim() * 2; // scores, then values
    window = attention.getWindow();
  }
  std::string name = op->getParentOfType<func::FuncOp>().getName().str() + "." + role;
  return KernelAttr::get(op->getContext(), name, weightBytes, integerMacs, floatMacs, wanted, keyBytes, keyMacs, window);
}
