//===- Arguments.h - the worker's command line ----------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace heddle {

/// Written by the frontend (services/frontend/GroupProcess.cpp), not by people.
struct WorkerArguments {
  std::string plan, socket;
  std::string kept;   // on other hosts than the frontend's: the folder for temporary files, which goes with the worker
  std::string target; // code of the plan to run; empty: the best for this CPU
  uint64_t epoch = 0;
  int64_t threads = 0;     // 0: the host's usable cores divided by its ranks
  int64_t context = 0;     // 0: the model's, at most 8192
  uint64_t kvBytes = 0;    // 0: the engine's default
  int64_t tokenBudget = 0; // 0: the engine's default
};

/// Throws std::invalid_argument with one line. `arguments` are those after the program's name.
WorkerArguments parseWorkerArguments(std::span<char *const> arguments);

/// `--guard PID -- COMMAND…`: becomes COMMAND, which then dies with the thread of process PID that started it. Returns (with an
/// exit status) only when that failed.
int runGuarded(std::span<char *const> arguments);

} // namespace heddle
