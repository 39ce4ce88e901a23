//===- Process.cpp - child processes and clean ends -------------------------------------------------------------------===//
#include "tools/heddle/Process.h"
#include "tools/heddle/Command.h"
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace heddle::tool {

static volatile std::sig_atomic_t raised = 0;
static struct sigaction previousInt, previousTerm;

Interruptible::Interruptible() {
  struct sigaction action{};
  action.sa_handler = [](int) { raised = 1; };
  sigaction(SIGINT, &action, &previousInt);
  sigaction(SIGTERM, &action, &previousTerm);
}
Interruptible::~Interruptible() {
  sigaction(SIGINT, &previousInt, nullptr);
  sigaction(SIGTERM, &previousTerm, nullptr);
}
bool Interruptible::interrupted() { return raised != 0; }
void Interruptible::check() {
  if (raised)
    throw Failure("interrupted; nothing was kept, run the same command again");
}

static std::vector<std::string> childEnvironment(const ChildOptions &options) {
  std::vector<std::string> all;
  for (char **entry = environ; *entry; ++entry) {
    std::string_view text = *entry;
    bool replaced = false;
    for (auto &[name, value] : options.environment)
      replaced |= text.starts_with(name + "=");
    if (!replaced)
      all.emplace_back(text);
  }
  for (auto &[name, value] : options.environment)
    all.push_back(name + "=" + value);
  return all;
}

static std::vector<char *> pointers(const std::vector<std::string> &texts) {
  std::vector<char *> all;
  for (const std::string &text : texts)
    all.push_back(const_cast<char *>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

ChildResult runChild(const std::vector<std::string> &argv, const ChildOptions &options) {
  int ends[2] = {-1, -1};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (!options.passThrough) {
    if (pipe2(ends, O_CLOEXEC) != 0)
      throw Failure(argv[0] + ": no pipe: " + std::strerror(errno));
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  }
  std::vector<std::string> environment = childEnvironment(options);
  pid_t child = 0;
  int error = posix_spawnp(&child, argv[0].c_str(), &actions, nullptr, pointers(argv).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (ends[1] >= 0)
    close(ends[1]);
  if (error) {
    if (ends[0] >= 0)
      close(ends[0]);
    throw Failure(argv[0] + " cannot be started: " + std::strerror(error) + "; tools/setup installs what is needed");
  }

  ChildResult result{0, {}};
  int status = 0;
  for (bool open = !options.passThrough, killed = false;;) {
    if (open) {
      pollfd entry{ends[0], POLLIN, 0};
      char buffer[4096];
      if (poll(&entry, 1, 150) > 0) {
        ssize_t got = read(ends[0], buffer, sizeof buffer);
        if (got > 0)
          result.output.append(buffer, size_t(got));
        else if (got == 0)
          open = false;
      }
    }
    if (raised && !killed)
      killed = kill(child, SIGTERM) == 0;
    if (options.tick)
      options.tick();
    pid_t ended = waitpid(child, &status, open || options.tick ? WNOHANG : 0);
    if (ended == child && !open)
      break;
    if (ended == child) { // drain what it left, but do not wait for grandchildren that keep the pipe open
      char buffer[4096];
      fcntl(ends[0], F_SETFL, O_NONBLOCK);
      for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
        result.output.append(buffer, size_t(got));
      break;
    }
    if (!open && options.tick)
      poll(nullptr, 0, 50);
  }
  if (ends[0] >= 0)
    close(ends[0]);
  Interruptible::check();
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

TemporaryDirectory::TemporaryDirectory(const std::filesystem::path &parent, const std::string &prefix) {
  std::string pattern = (parent / (prefix + "XXXXXX")).string();
  if (!mkdtemp(pattern.data()))
    throw Failure("no temporary folder in " + parent.string() + ": " + std::strerror(errno) + "; make it writable");
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored; // nothing sensible can be done here; the next pull clears stale folders
  std::filesystem::remove_all(path_, ignored);
}

} // namespace heddle::tool
