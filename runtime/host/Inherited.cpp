//===- Inherited.cpp - what a process got from its parent, put right --------------------------------------------------===//
#include "runtime/host/Inherited.h"
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace heddle {
namespace {

bool pipeIgnored = false;

/// Each open() takes the lowest free number. A closed input is like an empty one; an output that is open for reading only keeps
/// the number and refuses every write with EBADF.
void openStandardDescriptors() {
  for (int number = 0; number <= STDERR_FILENO; ++number)
    if (fcntl(number, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != number)
      _exit(1); // no /dev/null: there is nowhere to say so
}

/// Constructors of shared libraries run before main(): gRPC's opens an eventfd, which would become standard input. Plain system
/// calls, as nothing is set up yet, sanitizers included.
[[clang::no_sanitize("address", "thread", "undefined")]] void openBeforeLibraries(int, char **, char **) {
  for (int number = 0; number <= STDERR_FILENO; ++number)
    if (syscall(SYS_fcntl, number, F_GETFD) < 0)
      syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0);
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const beforeLibraries)(int, char **, char **) = openBeforeLibraries;

void resetSignals() {
  struct sigaction before{};
  sigaction(SIGPIPE, nullptr, &before);
  pipeIgnored = before.sa_handler == SIG_IGN;
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN); // a limit on the size of files is a write that fails
  std::signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

void keepAbsolutePath() {
  const char *set = std::getenv("PATH");
  std::istringstream parts(set ? set : "");
  std::string kept;
  for (std::string part; std::getline(parts, part, ':');)
    if (part.starts_with('/'))
      kept += (kept.empty() ? "" : ":") + part;
  setenv("PATH", kept.empty() ? "/usr/local/bin:/usr/bin:/bin" : kept.c_str(), 1);
}

} // namespace

void putInheritedStateRight() {
  openStandardDescriptors();
  resetSignals();
  umask(umask(0077) & 0077);
  keepAbsolutePath();
  constexpr rlim_t kEnough = 1 << 16; // some programs walk through all numbers up to the limit
  if (rlimit files{}; getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = std::max(files.rlim_cur, std::min(files.rlim_max, kEnough));
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

bool inheritedIgnoredPipe() { return pipeIgnored; }

} // namespace heddle
