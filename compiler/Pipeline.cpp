//===- Pipeline.cpp - the one place that orders passes --------------------------------------------------------------===//
#include "compiler/Pipeline.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "runtime/plan/Targets.h"

using namespace mlir;
using namespace heddle;

void heddle::addStagePasses(OpPassManager &passes, Stage stage, LoopShape shape, Target target) {
  switch (stage) {
  case Stage::Graph: // made by an architecture file, or read from a .mlir
    break;

  case Stage::Fused:
    // 1. A gate and its product become one, then other products that read the same activations; what residuals touch is a single
    // op.
    passes.addPass(createFuseGatePass());
    passes.addPass(createFuseSharedInputPass());
    // 2. Attention takes its head norm and RoPE along, before residuals are folded, so that a norm on heads is never mistaken for
    // one on rows.
    passes.addPass(createFuseHeadsPass());
    passes.addPass(createFuseActivationPass());
    passes.addPass(createFuseScalePass());
    passes.addPass(createFuseResidualPass());
    // 3. From exact mathematics to the one arithmetic; then what was just inserted moves into the ops that make the values.
    passes.addPass(createQuantizeActivationsPass());
    passes.addPass(createFuseRequantisationPass());
    break;

  case Stage::Sharded:
    passes.addPass(createShardByRowsPass());
    break;

  case Stage::Planned:
    passes.addPass(createCSEPass()); // equal shares within a block are one
    passes.addPass(createPlanMemoryPass());
    break;

  case Stage::Kernels:
    passes.addPass(createOutlineKernelsPass());
    passes.addPass(createTileKernelsPass(shape));
    passes.addPass(createCanonicalizerPass()); // constant index arithmetic folds
    passes.addPass(createCSEPass());
    break;

  case Stage::Loops:
    passes.addPass(createLowerTilesPass());
    passes.addPass(createCanonicalizerPass());
    passes.addPass(createLoopInvariantCodeMotionPass()); // scales of a super-block, pages of a chunk
    passes.addPass(createCSEPass());
    break;

  case Stage::Llvm:
    passes.addPass(createLowerDotPass(target));
    passes.addPass(createLowerEnvironmentPass());
    // No expand-strided-metadata here: it takes the pointer of a memref.view's source for the view's own and loses the byte
    // offset.
    passes.addPass(createConvertSCFToCFPass());
    passes.addPass(createConvertVectorToLLVMPass());
    passes.addPass(createConvertMathToLLVMPass());
    passes.addPass(createFinalizeMemRefToLLVMConversionPass());
    passes.addPass(createArithToLLVMConversionPass());
    passes.addPass(createConvertFuncToLLVMPass());
    passes.addPass(createConvertControlFlowToLLVMPass());
    passes.addPass(createReconcileUnrealizedCastsPass());
    passes.addPass(createCanonicalizerPass());
    passes.addPass(createCSEPass());
    break;
  }
}

std::optional<Stage> heddle::stageByName(StringRef name) {
  for (auto [i, known] : llvm::enumerate(kStageNames))
    if (name == known)
      return static_cast<Stage>(i);
  return std::nullopt;
}

std::optional<Target> heddle::targetByName(StringRef name) {
  for (auto [i, known] : llvm::enumerate(kTargets))
    if (name == known)
      return static_cast<Target>(i);
  return std::nullopt;
}

static_assert(kTargets.size() == static_cast<size_t>(Target::Avx2) + 1 &&
              std::string_view("x86-64-v3+vnni") == kTargets[static_cast<size_t>(Target::Avx2Vnni)]);
StringRef heddle::targetName(Target target) { return kTargets[static_cast<size_t>(target)]; }

void heddle::insertPassDialects(DialectRegistry &registry) {
  registry.insert<ir::HeddleDialect, func::FuncDialect, arith::ArithDialect, math::MathDialect, memref::MemRefDialect,
                  scf::SCFDialect, vector::VectorDialect, LLVM::LLVMDialect>();
}

void heddle::registerAllStages(DialectRegistry &registry) {
  insertPassDialects(registry);
  registry.insert<cf::ControlFlowDialect>();
}

void heddle::registerHeddlePasses() {
  for (auto create :
       {createFuseSharedInputPass, createFuseGatePass, createFuseHeadsPass, createFuseActivationPass, createFuseScalePass,
        createFuseResidualPass, createQuantizeActivationsPass, createFuseRequantisationPass, createShardByRowsPass,
        createPlanMemoryPass, createOutlineKernelsPass, createLowerTilesPass, createLowerEnvironmentPass})
    registerPass(create);
  registerPass([] { return createTileKernelsPass(); });
  registerPass([] { return createLowerDotPass(); });
  static std::array<PassPipelineRegistration<>, 6> pipelines = [] {
    auto stage = [](Stage to) {
      return PassPipelineRegistration<>(std::string("heddle-to-") + kStageNames[static_cast<size_t>(to)],
                                        "from the stage before to this one, for the oldest target",
                                        [to](OpPassManager &passes) { addStagePasses(passes, to, {}, Target::Avx2); });
    };
    return std::array<PassPipelineRegistration<>, 6>{stage(Stage::Fused),   stage(Stage::Sharded), stage(Stage::Planned),
                                                     stage(Stage::Kernels), stage(Stage::Loops),   stage(Stage::Llvm)};
  }();
  (void)pipelines;
}
