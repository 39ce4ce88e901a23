//===- Passes.h - every pass of the pipeline, by stage --------------------------------------------------------------===//
#pragma once
#include "ir/dialect/Dialect.h"
#include "mlir/Pass/Pass.h"
#include "runtime/plan/HostCache.h"
#include <memory>

namespace heddle {

/// Where the code will run: the tilings and the instruction choices depend on it, the bits do not.
/// Their names are kTargets (runtime/plan/Targets.h), in the same order.
enum class Target { Avx512Vnni, Avx512, Avx2Vnni, Avx2 };
std::optional<Target> targetByName(llvm::StringRef name);
llvm::StringRef targetName(Target target);
/// 32 registers of 64 bytes, not 16 of 32.
constexpr bool hasWideRegisters(Target target) { return target == Target::Avx512Vnni || target == Target::Avx512; }
/// Sums of four products of bytes in one instruction.
constexpr bool hasVnni(Target target) { return target == Target::Avx512Vnni || target == Target::Avx2Vnni; }
/// What loops and register tiles are made for.
struct LoopShape {
  Target registers = Target::Avx2;
  int64_t cacheBytes = kUsualCacheBytes;       // L2 that a thread has for itself
  int64_t prefetchBytes = kUsualPrefetchBytes; // how far ahead products of few tokens ask for weights; 0: not at all
};

// graph → fused: one file each in fusion/
std::unique_ptr<mlir::Pass> createFuseSharedInputPass();
std::unique_ptr<mlir::Pass> createFuseGatePass();
std::unique_ptr<mlir::Pass> createFuseHeadsPass();
std::unique_ptr<mlir::Pass> createFuseActivationPass();
std::unique_ptr<mlir::Pass> createFuseScalePass();
std::unique_ptr<mlir::Pass> createFuseResidualPass();
std::unique_ptr<mlir::Pass> createQuantizeActivationsPass();
std::unique_ptr<mlir::Pass> createFuseRequantisationPass();
// fused → sharded
std::unique_ptr<mlir::Pass> createShardByRowsPass();
// sharded → planned
std::unique_ptr<mlir::Pass> createPlanMemoryPass();
// planned → kernels
std::unique_ptr<mlir::Pass> createOutlineKernelsPass();
std::unique_ptr<mlir::Pass> createTileKernelsPass(LoopShape shape = {});
// kernels → loops
std::unique_ptr<mlir::Pass> createLowerTilesPass();
// loops → llvm
std::unique_ptr<mlir::Pass> createLowerDotPass(Target target = Target::Avx2);
std::unique_ptr<mlir::Pass> createLowerEnvironmentPass();

/// What an argument of a function is called where a stage is shown, and in profiles. Nothing is looked up by it.
inline constexpr llvm::StringLiteral kArgumentName = "heddle.name";

/// What all passes here are: named, over a module, stating the dialects they create ops of.
template <class Derived> struct ModulePass : mlir::PassWrapper<Derived, mlir::OperationPass<mlir::ModuleOp>> {
  using Base = ModulePass;
  llvm::StringRef getArgument() const final { return Derived::flag; }
  llvm::StringRef getDescription() const final { return Derived::summary; }
  llvm::StringRef getName() const override { return Derived::flag; }
  void getDependentDialects(mlir::DialectRegistry &registry) const override;
};

/// The dialects that passes create ops of.
void insertPassDialects(mlir::DialectRegistry &registry);
template <class Derived> void ModulePass<Derived>::getDependentDialects(mlir::DialectRegistry &registry) const {
  insertPassDialects(registry);
}

} // namespace heddle
