//===- ProcFs.h - processes of this host, from /proc ----------------------------------------------------------------===//
#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace heddle {

/// The variable by which a group's processes are known: what is started with it, and all that those start, belongs to the folder
/// (KeptFolder) that it names. A command line says little: whoever looks into the folder has its path there too.
inline constexpr std::string_view kFolderMark = "HEDDLE_FOLDER";
/// Processes of this user other than this one whose mark contains `folder`.
std::vector<pid_t> processesOf(std::string_view folder);
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
