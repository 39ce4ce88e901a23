//===- Precompiled.h - headers that nearly every file here needs (12 s a file become 4) -----------------------------===//
#pragma once
#include "compiler/kernels/Emit.h"
#include "ir/dialect/Dialect.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Pass/PassManager.h"
