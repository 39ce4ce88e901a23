//===- ProcFs.h - processes of this host, from /proc ----------------------------------------------------------------===//
#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace heddle {

/// Processes other than this one whose command line contains `text`. A group is found by its socket's path, which no other group
/// has.
std::vector<pid_t> processesWith(std::string_view text);
/// State letter of a process as ps shows it (R, S, D, T, Z …); 0 when there is none.
char processState(pid_t pid);
/// Threads of this process apart, is it still there and no zombie?
inline bool processRuns(pid_t pid) {
  char state = processState(pid);
  return state != 0 && state != 'Z' && state != 'X';
}
/// CPU time that these processes have used so far, to a hundredth of a second.
std::chrono::nanoseconds processorTime(const std::vector<pid_t> &processes);
std::string localHostName();

} // namespace heddle
