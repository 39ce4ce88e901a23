//===- ObjectCode.h - from the llvm stage to a shared object --------------------------------------------------------===//
#pragma once
#include "compiler/Passes.h"
#include <filesystem>
#include <memory>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace heddle {

/// A translated and optimised module for one target. Throws CompileError.
class ObjectCode {
public:
  ObjectCode(mlir::ModuleOp module, Target target);
  ~ObjectCode();
  std::string llvmIr() const;
  const std::string &assembly() const;
  /// Links a shared object that exports the entries and imports the functions of runtime/plan/Frame.h.
  void writeSharedObject(const std::filesystem::path &file) const;

private:
  Target target_;
  mutable std::string assembly_; // made when first asked for
  std::unique_ptr<llvm::LLVMContext> context_;
  std::unique_ptr<llvm::Module> module_;
};

} // namespace heddle
