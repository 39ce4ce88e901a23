//===- main.cpp - heddle-opt: runs any pass or stage alone on a .mlir file, and its checks -------------------------===//
#include "compiler/Pipeline.h"
#include "ir/check/Check.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  heddle::registerAllStages(registry);
  registry.insert<heddle::check::CheckDialect>();
  mlir::registerAllPasses();
  heddle::registerHeddlePasses();
  mlir::registerPass(heddle::check::createRunChecksPass);
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Heddle's passes, one by one\n", registry));
}
