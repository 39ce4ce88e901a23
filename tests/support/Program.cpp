//===- Program.cpp - the MLIR part of test programs -----------------------------------------------------------------===//
#include "tests/support/Program.h"
#include "ir/dialect/Dialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"

namespace heddle::test {

struct Program::Implementation {
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  std::string errors;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

Program::Program(const std::string &text) : impl_(std::make_unique<Implementation>()) {
  impl_->context.loadDialect<ir::HeddleDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect>();
  impl_->context.getDiagEngine().registerHandler([this](mlir::Diagnostic &diagnostic) {
    impl_->errors += diagnostic.str() + "\n";
    return mlir::success();
  });
  impl_->module = mlir::parseSourceString<mlir::ModuleOp>(text, &impl_->context); // verifies as well
}
Program::~Program() = default;

bool Program::valid() const { return static_cast<bool>(impl_->module); }
const std::string &Program::errors() const { return impl_->errors; }

std::unique_ptr<reference::Reference> Program::reference(reference::Mode mode, const reference::WeightSource &weights,
                                                         int ranks) {
  return std::make_unique<reference::Reference>(*impl_->module, mode, weights, ranks);
}

} // namespace heddle::test
