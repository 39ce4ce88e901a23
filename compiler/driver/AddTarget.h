//===- AddTarget.h - code for one more target in an existing plan ------------------------------------------------------===//
#pragma once
#include "compiler/Compile.h"

namespace heddle {

/// Compiles the `planned` stage that the plan `options.model` holds for `options.target` and adds the code to that plan; weights
/// are the same for all targets and stay. The manifest names the target last, so that a crash leaves the plan as it was. Throws
/// CompileError or PlanError; adding a target that is there already writes its code anew.
CompileReport addTarget(const CompileOptions &options);

} // namespace heddle
