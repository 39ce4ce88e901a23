//===- Host.cpp - small facts about this process's place -------------------------------------------------------------===//
#include "runtime/comm/Host.h"
#include "runtime/comm/HostWindow.h"
#include <csignal>
#include <sys/prctl.h>
#include <unistd.h>

namespace heddle {

std::string hostName() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0)
    return "unknown host";
  return name;
}

uint64_t sharedBytes(int64_t members, uint64_t windowBytes) {
  constexpr uint64_t kPage = 4096;
  const uint64_t pages = kPage * static_cast<uint64_t>(members), window = windowBytes + pages;
  return window + window / 20 + pages;
}

uint64_t sharedBytes(int64_t ranks) {
  return sharedBytes(ranks, HostWindow::hostBytes(ranks, HostWindow::sizesFor(ranks, ranks)));
}

void dieWithParent() {
  pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    raise(SIGKILL); // it died before the line above, which then sends no signal
}

} // namespace heddle
