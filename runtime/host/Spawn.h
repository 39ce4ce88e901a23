//===- Spawn.h - the one place that starts other programs ---------------------------------------------------------------===//
#pragma once
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace heddle {

struct SpawnOptions {
  int input = -1;                                       // descriptor for its stdin; -1: empty
  int output = -1;                                      // descriptor for its stdout and stderr; -1: ours
  bool ownGroup = false;                                // a process group of its own, out of reach of the terminal's Ctrl-C
  bool dropLauncher = false;                            // of the environment, what an outer MPI job or batch system left there
  bool dropMpiSettings = false;                         // and what a user set for MPI there
  std::vector<std::string> drop;                        // further variables that it must not see
  std::vector<std::pair<std::string, std::string>> set; // variables on top of ours
};

/// Starts argv[0], looked up in PATH, without a shell, as a fresh program expects to be started whatever we inherited: no other
/// descriptor is open, no signal is blocked, ignored or caught, and the current folder exists. Returns its process id, to be
/// waited for with waitpid. Throws std::system_error. Any thread.
pid_t spawn(const std::vector<std::string> &argv, const SpawnOptions &options = {});

/// Does a variable of this name belong to an MPI job or batch system around us, rather than to the user's settings? A launcher
/// started with them would take itself for a part of that job. Settings such as OMPI_MCA_btl or OMPI_ALLOW_RUN_AS_ROOT do not.
bool belongsToLauncher(std::string_view name);

/// Is it a setting of Open MPI or of a library below it? Where it is installed (OPAL_PREFIX) is none.
bool setsMpi(std::string_view name);

} // namespace heddle
