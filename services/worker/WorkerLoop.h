//===- WorkerLoop.h - rank 0 between the engine link and the engine -------------------------------------------------===//
#pragma once
#include "services/worker/EngineLike.h"
#include "services/worker/WorkerLink.h"

namespace heddle {

/// Takes requests from `link`, steps `engine` while it has work, sends what each step gave, and sleeps on the link while there is
/// none. Returns when the frontend says Stop or the link has ended. Runs on the engine's thread; what engine.step() throws goes
/// through to the caller.
void runWorkerLoop(EngineLike &engine, WorkerLink &link);

} // namespace heddle
