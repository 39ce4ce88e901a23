//===- Keeper.cpp - heddle-keeper: removes a folder when the process that made it is gone --------------------------------===//
//
// Started by KeptFolder. Its stdin is a pipe whose other end only that process holds: the first line names the folder, and the
// end of the input is the end of the process, by whatever signal. A second line names a process to look at meanwhile. Small, and
// of no use to start by hand.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/host/ProcFs.h"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <string>
#include <unistd.h>

namespace {

/// The first line, and the second if there is one.
struct Orders {
  std::string folder, watched;
};

Orders ordersOf(const std::string &text) {
  size_t end = text.find('\n');
  Orders orders{text.substr(0, end), {}};
  if (end != std::string::npos)
    orders.watched = text.substr(end + 1, text.find('\n', end + 1) - end - 1);
  return orders;
}

/// One that is written whole, or not at all where nobody reads.
void sayStopped(const std::string &watched) {
  std::string line = "heddle-keeper: stopped " + watched + "\n";
  if (pollfd output{STDOUT_FILENO, POLLOUT, 0}; poll(&output, 1, 0) == 1) [[maybe_unused]]
    ssize_t written = write(STDOUT_FILENO, line.data(), line.size());
}

/// Reads to the end of the input, which is that of the process.
std::string readAll(int input) {
  std::string text;
  char buffer[4096];
  for (;;) {
    std::string watched = ordersOf(text).watched;
    pollfd entry{input, POLLIN, 0};
    if (poll(&entry, 1, watched.empty() ? -1 : 1000) == 0) {
      pid_t process = std::atoi(watched.c_str() + std::min(watched.size(), watched.find(' ') + 1));
      if (char state = heddle::processState(process); state == 'T' || state == 't')
        sayStopped(watched);
      continue;
    }
    ssize_t got = read(input, buffer, sizeof buffer);
    if (got == 0 || (got < 0 && errno != EINTR))
      return text;
    text.append(buffer, static_cast<size_t>(std::max<ssize_t>(got, 0)));
  }
}

/// Whoever waits for the end of the process waits for the end of its output.
void letGoOfOutput() {
  if (int nowhere = open("/dev/null", O_WRONLY); nowhere >= 0)
    for (int number : {STDOUT_FILENO, STDERR_FILENO})
      dup2(nowhere, number);
}

} // namespace

int main() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) // what ends the other must not end this one first
    std::signal(signal, SIG_IGN);
  std::string orders = readAll(STDIN_FILENO), folder = ordersOf(orders).folder;
  letGoOfOutput();
  if (!orders.ends_with('\n') || !folder.starts_with('/'))
    return 2;
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
  for (int round = 0; round < kPatience; ++round) { // Open MPI's daemons remove their own at the same time
    std::filesystem::remove_all(folder, error);
    if (!std::filesystem::exists(folder, error))
      return 0;
    poll(nullptr, 0, 20);
  }
  return 1;
}
