//===- Check.h - the check dialect: numbers in .mlir tests ----------------------------------------------------------===//
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Pass/Pass.h"
#include <memory>

#include "ir/check/CheckDialect.h.inc"
#include "ir/check/CheckEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/check/CheckAttributes.h.inc"

#define GET_OP_CLASSES
#include "ir/check/CheckOps.h.inc"

namespace heddle::check {

/// `-heddle-run-checks`: runs the functions of a module that hold expectations in the reference interpreter, in each meaning that
/// one of them is about, and reports those that do not hold. The module stays as it is.
std::unique_ptr<mlir::Pass> createRunChecksPass();

} // namespace heddle::check
