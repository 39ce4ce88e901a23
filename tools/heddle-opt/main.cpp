//===- main.cpp - heddle-opt: runs any pass or stage alone on a .mlir file ------------------------------------------===//
#include "compiler/Pipeline.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  heddle::registerAllStages(registry);
  mlir::registerAllPasses();
  heddle::registerHeddlePasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Heddle's passes, one by one\n", registry));
}
