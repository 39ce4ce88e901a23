//===- Process.cpp - child processes and clean ends -------------------------------------------------------------------===//
#include "tools/heddle/Process.h"
#include "runtime/host/Spawn.h"
#include "tools/heddle/Command.h"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace heddle::tool {

/// Starts the child; `input` is the end of the pipe to read its output from.
static pid_t start(const std::vector<std::string> &argv, const ChildOptions &options, int &input) {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0)
    throw Failure(argv[0] + ": no pipe: " + std::strerror(errno));
  input = ends[0];
  SpawnOptions how;
  how.output = ends[1];
  how.ownGroup = true; // Ctrl-C is ours to hand on, once
  how.dropLauncher = true;
  how.drop = options.without;
  how.set = options.environment;
  pid_t child = 0;
  int error = 0;
  try {
    child = spawn(argv, how);
  } catch (const std::system_error &failed) {
    error = failed.code().value();
  }
  close(ends[1]);
  if (!error)
    return child;
  close(input);
  throw Failure(argv[0] + " cannot be started: " + std::strerror(error) + "; tools/setup installs what is needed");
}

ChildResult runChild(const std::vector<std::string> &argv, const ChildOptions &options) {
  int input = -1;
  pid_t child = start(argv, options, input);
  ChildResult result{0, {}};
  int status = 0;
  for (bool open = true, killed = false;;) {
    if (open) {
      pollfd entry{input, POLLIN, 0};
      char buffer[4096];
      if (poll(&entry, 1, 150) > 0) {
        ssize_t got = read(input, buffer, sizeof buffer);
        if (got > 0)
          result.output.append(buffer, size_t(got));
        else if (got == 0)
          open = false;
      }
    }
    if (Interruptible::interrupted() && !killed)
      killed = kill(-child, SIGTERM) == 0;
    if (options.tick)
      options.tick();
    pid_t ended = waitpid(child, &status, open || options.tick ? WNOHANG : 0);
    if (ended < 0 && errno != EINTR)
      throw Failure(argv[0] + " cannot be waited for: " + std::strerror(errno));
    if (ended == child && !open)
      break;
    if (ended == child) { // drain what it left, but do not wait for grandchildren that keep the pipe open
      char buffer[4096];
      fcntl(input, F_SETFL, O_NONBLOCK);
      for (ssize_t got; (got = read(input, buffer, sizeof buffer)) > 0;)
        result.output.append(buffer, size_t(got));
      break;
    }
    if (!open && options.tick)
      poll(nullptr, 0, 50);
  }
  close(input);
  Interruptible::check();
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

TemporaryDirectory::TemporaryDirectory(const std::filesystem::path &parent, const std::string &prefix) {
  std::string pattern = (parent / (prefix + "XXXXXX")).string();
  if (!mkdtemp(pattern.data()))
    throw Failure("no temporary folder in " + parent.string() + ": " + std::strerror(errno) + "; make it writable");
  path_ = pattern;
  scratch_.emplace(path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored; // nothing sensible can be done here; the next pull clears stale folders
  std::filesystem::remove_all(path_, ignored);
}

} // namespace heddle::tool
