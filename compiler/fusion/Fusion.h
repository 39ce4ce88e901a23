//===- Fusion.h - what the fusions share ----------------------------------------------------------------------------===//
#pragma once
#include "compiler/Passes.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Rewrite/FrozenRewritePatternSet.h"
#include "mlir/Rewrite/PatternApplicator.h"
#include <set>

namespace heddle {

/// A pass that applies the patterns of `Derived::addPatterns` from top to bottom until none matches. A pattern that looks at a
/// candidate and leaves it says why (notifyMatchFailure): with the option `explain`, as a remark at the op.
template <class Derived> struct FusionPass : ModulePass<Derived> {
  FusionPass() = default;
  FusionPass(const FusionPass &other) : ModulePass<Derived>(other) { explain = other.explain.getValue(); }
  mlir::Pass::Option<bool> explain{*this, "explain", llvm::cl::desc("say why candidates are not fused"), llvm::cl::init(false)};

  void runOnOperation() override {
    struct Explain : mlir::RewriterBase::Listener {
      void notifyMatchFailure(mlir::Location loc, llvm::function_ref<void(mlir::Diagnostic &)> reason) override {
        mlir::Diagnostic text(loc, mlir::DiagnosticSeverity::Remark);
        reason(text);
        if (seen.insert(loc, text.str())) // the driver may come back to an op
          mlir::emitRemark(loc) << "not fused: " << text.str();
      }
      struct Seen {
        std::set<std::pair<const void *, std::string>> all;
        bool insert(mlir::Location loc, std::string text) {
          return all.insert({loc.getAsOpaquePointer(), std::move(text)}).second;
        }
      } seen;
    } listener;
    mlir::RewritePatternSet patterns(&this->getContext());
    Derived::addPatterns(patterns);
    mlir::FrozenRewritePatternSet frozen(std::move(patterns));
    mlir::PatternApplicator applicator(frozen);
    applicator.applyDefaultCostModel();
    // MLIR's greedy driver would gather all constants at the function's start as well: stages are read by people.
    struct Rewriter : mlir::PatternRewriter {
      using PatternRewriter::PatternRewriter;
    } rewriter(&this->getContext());
    if (explain)
      rewriter.setListener(&listener);
    for (bool changed = true; changed;)
      changed = this->getOperation()
                    .walk([&](mlir::Operation *op) {
                      rewriter.setInsertionPoint(op);
                      return succeeded(applicator.matchAndRewrite(op, rewriter)) ? mlir::WalkResult::interrupt()
                                                                                 : mlir::WalkResult::advance();
                    })
                    .wasInterrupted();
  }
};

} // namespace heddle
