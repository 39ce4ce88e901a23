//===- PlanEngine.h - a plan on disk as a StepModel ------------------------------------------------------------------===//
#pragma once
#include "runtime/engine/StepExecutor.h"
#include "runtime/plan/Plan.h"
#include <atomic>

namespace heddle {

/// Loads this rank's weights, the RoPE tables of `context` positions and code/`target`.so (empty: the best for this CPU). The
/// result owns all of it and does not need `plan` any more. The process must export heddle_barrier and heddle_all_gather (linking
/// heddle_engine sees to that). `progress` counts up while weights are read. Throws std::runtime_error or PlanError, one line.
StepModel loadStepModel(const Plan &plan, const std::string &target, int64_t context, int64_t rank, int64_t ranks,
                        std::atomic<uint64_t> *progress = nullptr);

StateShapes stateShapesOf(const Manifest &manifest);

/// Checks that every rank opened the same plan (collective); all ranks throw the same line, naming the host, when not. A rank
/// that could not open it passes the reason as `problem`, so that the others learn of it instead of waiting.
void checkSamePlan(Communicator &group, const std::string &key, const std::string &problem = "");

} // namespace heddle
