//===- WorkerMain.h - one rank of a group, from its command line to its end -----------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "services/worker/Arguments.h"

namespace heddle {

/// A model that a rank has found and checked; its weights are loaded by `engine`.
struct WorkerModel {
  std::string planKey;
  int64_t vocabulary = 0;
  std::function<std::unique_ptr<Engine>(const EngineOptions &, Communicator &)> engine; // collective
};
using OpenWorkerModel = std::function<WorkerModel(const WorkerArguments &)>; // throws one line

/// main() of a worker: joins the MPI group, opens the model, agrees with the other ranks; then rank 0 dials the frontend and runs
/// the worker loop, and the others follow it. A rank that cannot go on says so in one line and leaves by _exit, without MPI's
/// farewell: mpirun then ends the whole group, and the frontend starts a new one. Returns only after an orderly Stop, or wrong
/// usage.
int workerMain(int argc, char **argv, const OpenWorkerModel &open);

} // namespace heddle
