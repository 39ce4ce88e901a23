//===- GroupOptions.h - what a group of workers is ------------------------------------------------------------------===//
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace heddle {

/// One line: what went wrong with the group, where, and what to do.
struct GroupError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct GroupOptions {
  std::filesystem::path plan;
  int64_t ranks = 1;              // 1..1024
  std::filesystem::path hostfile; // empty: all ranks on this host. With one, OMPI_MCA_… of the environment reach mpirun
  int64_t threads = 0;            // per rank; 0: the usable cores of its host divided by its ranks
  int64_t context = 0;            // 0: the model's, at most 8192
  uint64_t kvBytes = 0;           // of all ranks together; 0: the engine's default
  int64_t tokenBudget = 0;        // tokens of a step; 0: the engine's default
  std::string target;             // code of the plan to run; empty: the best for each rank's CPU
  std::filesystem::path worker;   // heddle-worker; empty: beside this program
  std::string mpirun = "mpirun";
  bool verbose = false; // everything the workers and mpirun write goes to stderr

  // GroupWatch.h says what these mean; all count the time that the frontend is awake.
  std::chrono::milliseconds stoppedLimit{5000}; // a rank that is stopped
  std::chrono::milliseconds stallLimit{120000}; // silence of rank 0; a load or step that gets nowhere
  std::chrono::milliseconds launchLimit{60000}; // a launch that does not move, before rank 0's hello
  std::chrono::milliseconds stopLimit{5000};    // for the group to end by itself
};

/// Throws GroupError naming the option, or a limit on this process (ulimit) that leaves no room for a frontend's threads.
void checkGroupOptions(const GroupOptions &options);

} // namespace heddle
