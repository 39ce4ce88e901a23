//===- Keeper.cpp - heddle-keeper: removes a folder when the process that made it is gone --------------------------------===//
//
// Started by KeptFolder. Its stdin is a pipe whose other end only that process holds: the first line names the folder, and the
// end of the input is the end of the process, by whatever signal. Small, and of no use to start by hand.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/host/ProcFs.h"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <poll.h>
#include <string>
#include <unistd.h>

namespace {

std::string readAll(int input) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(input, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR);)
    text.append(buffer, static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return text;
}

} // namespace

int main() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) // what ends the other must not end this one first
    std::signal(signal, SIG_IGN);
  std::string folder = readAll(STDIN_FILENO);
  if (!folder.ends_with('\n') || !folder.starts_with('/'))
    return 2;
  folder.pop_back();
  std::error_code error;
  // What was started for the folder still makes files in it. It ends by itself, and is ended if it does not.
  constexpr int kPatience = 250; // rounds of 20 ms
  for (int round = 0; round < 2 * kPatience && std::filesystem::exists(folder, error); ++round) {
    std::vector<pid_t> left = heddle::processesOf(folder);
    if (left.empty())
      break;
    for (pid_t pid : left)
      if (round >= kPatience)
        kill(pid, SIGKILL);
    poll(nullptr, 0, 20);
  }
  std::filesystem::remove_all(folder, error);
  return error ? 1 : 0;
}
