//===- Inherited.cpp - what a process got from its parent, put right --------------------------------------------------===//
#include "runtime/host/Inherited.h"
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <pthread.h>
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

// What constructors of shared libraries would meet before main(). Plain system calls and loops, as nothing is set up yet,
// sanitizers included.

/// gRPC opens an eventfd, which would become standard input.
[[clang::no_sanitize("address", "thread", "undefined")]] void openBeforeLibraries() {
  for (int number = 0; number <= STDERR_FILENO; ++number)
    if (syscall(SYS_fcntl, number, F_GETFD) < 0)
      syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0);
}

[[clang::no_sanitize("address", "thread", "undefined")]] bool begins(const char *text, const char *beginning) {
  while (*beginning && *text == *beginning)
    ++text, ++beginning;
  return *beginning == 0;
}

/// Variables of OpenMP's and gRPC's libraries. All that they could say is said by our options or set in our code, and what is
/// left are ways to hang and to abort. How gRPC finds hosts and what it tells of itself are the user's.
[[clang::no_sanitize("address", "thread", "undefined")]] bool setsALibrary(const char *variable) {
  for (const char *kept : {"GRPC_VERBOSITY=", "GRPC_TRACE=", "GRPC_DNS_RESOLVER="})
    if (begins(variable, kept))
      return false;
  for (const char *dropped : {"OMP_", "KMP_", "GOMP_", "LIBOMP", "GRPC_"})
    if (begins(variable, dropped))
      return true;
  return false;
}

[[clang::no_sanitize("address", "thread", "undefined")]] void dropLibrarySettings(char **environment) {
  char **kept = environment;
  for (char **variable = environment; *variable; ++variable)
    if (!setsALibrary(*variable))
      *kept++ = *variable;
  *kept = nullptr;
}

[[clang::no_sanitize("address", "thread", "undefined")]] void beforeLibraries(int, char **, char **environment) {
  openBeforeLibraries();
  dropLibrarySettings(environment);
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const first)(int, char **, char **) = beforeLibraries;

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

constexpr rlim_t kUsualStack = 8 << 20, kLeastStack = 2 << 20; // the compiler's passes need about 1 MB

/// The first thread's stack grows up to the soft limit of that time; other threads' is what the limit was at the start.
void makeRoomForStacks() {
  if (rlimit stack{}; getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur < kUsualStack) {
    stack.rlim_cur = std::min(stack.rlim_max, kUsualStack);
    setrlimit(RLIMIT_STACK, &stack);
    stack.rlim_cur = stack.rlim_max = kUsualStack;
    setrlimit(RLIMIT_STACK, &stack); // root may
  }
  pthread_attr_t usual;
  size_t bytes = 0;
  if (pthread_getattr_default_np(&usual) != 0)
    return;
  if (pthread_attr_getstacksize(&usual, &bytes) == 0 && bytes < kLeastStack &&
      pthread_attr_setstacksize(&usual, kUsualStack) == 0)
    pthread_setattr_default_np(&usual);
  pthread_attr_destroy(&usual);
}

} // namespace

std::string inheritedProblem() {
  rlimit stack{};
  if (getrlimit(RLIMIT_STACK, &stack) != 0 || stack.rlim_cur >= kLeastStack)
    return {};
  return "the stack may not grow beyond " + std::to_string(stack.rlim_cur >> 10) + " kB here, and " +
         std::to_string(kLeastStack >> 10) + " are needed; raise the limit (ulimit -s)";
}

void putInheritedStateRight() {
  openStandardDescriptors();
  resetSignals();
  umask(umask(0077) & 0077);
  keepAbsolutePath();
  makeRoomForStacks();
  constexpr rlim_t kEnough = 1 << 16; // some programs walk through all numbers up to the limit
  if (rlimit files{}; getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = std::max(files.rlim_cur, std::min(files.rlim_max, kEnough));
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

bool inheritedIgnoredPipe() { return pipeIgnored; }

} // namespace heddle
