//===- PlanSource.h - plans out of the cache, compiled when they are missing -----------------------------------------------===//
#pragma once
#include "compiler/Compile.h"
#include "tools/heddle/ModelResolver.h"

namespace heddle::tool {

/// `options` with every field set that decides what the plan holds: the target, and the cache key.
CompileOptions compileOptions(const ResolvedModel &model, const PlanChoice &choice, const std::filesystem::path &fromStage = {},
                              bool debugInfo = false);

/// What obtainPlan() did.
struct ObtainedPlan {
  std::filesystem::path plan;
  bool compiled; // now, and not found in the cache
  CompileReport report;
};

/// The cached plan for `options`, compiled now if it is missing or, with `everyByte`, damaged anywhere; progress and one note on
/// stderr.
ObtainedPlan obtainPlan(CompileOptions options, const std::string &name, bool everyByte = false);
/// Compiles into options.output, whatever the cache holds.
CompileReport compileNow(CompileOptions options, const std::string &name);

} // namespace heddle::tool
