//===- Interrupt.cpp - Ctrl-C, SIGTERM and SIGHUP -----------------------------------------------------------------------===//
//
// Everything below handle() runs inside a signal handler: system calls, atomics and memory that is there already, nothing else.
//===---------------------------------------------------------------------------------------------------------------===//
#include "tools/heddle/Interrupt.h"
#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace heddle::tool {
namespace {

constexpr int kAsking[] = {SIGINT, SIGTERM, SIGHUP};                     // the program to end; work in hand may notice it first
constexpr int kEnding[] = {SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU}; // at once, but for what must not stay
enum class Noting { Nothing, CtrlC, All };
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);
std::atomic<bool> raised = false;
std::atomic<int> noted = 0;
std::atomic<Noting> noting = Noting::Nothing;

struct Scratch {
  enum State { Free, Writing, Named };
  std::atomic<int> state = Free;
  char path[PATH_MAX] = {};
};
std::array<Scratch, 8> scratch; // a command has two or three

/// What readdir does, without its memory.
void removeContents(int folder, int depth) {
  alignas(dirent64) char buffer[4096];
  for (long got; (got = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;)
    for (long at = 0; at < got;) {
      auto *entry = reinterpret_cast<dirent64 *>(buffer + at);
      at += entry->d_reclen;
      if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0)
        continue;
      if (unlinkat(folder, entry->d_name, 0) == 0 || depth == 0)
        continue;
      int inner = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (inner < 0)
        continue;
      removeContents(inner, depth - 1);
      close(inner);
      unlinkat(folder, entry->d_name, AT_REMOVEDIR);
    }
}

void removeTree(const char *path) {
  if (unlink(path) == 0)
    return;
  for (int attempt = 0; attempt < 20; ++attempt) { // other threads may still be writing into it
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
      return;
    removeContents(folder, 16);
    close(folder);
    if (rmdir(path) == 0)
      return;
  }
}

void handle(int signal) {
  Noting what = std::ranges::find(kAsking, signal) != std::end(kAsking) ? noting.load() : Noting::Nothing;
  if ((what == Noting::All || (what == Noting::CtrlC && signal == SIGINT)) && !raised.exchange(true)) {
    noted = signal;
    return;
  }
  for (Scratch &entry : scratch)
    if (entry.state == Scratch::Named)
      removeTree(entry.path);
  endBySignal(signal);
}

} // namespace

void takeSignals() {
  struct sigaction action{};
  action.sa_handler = handle;
  auto forAll = [](auto act) {
    std::ranges::for_each(kAsking, act);
    std::ranges::for_each(kEnding, act);
  };
  forAll([&](int signal) { sigaddset(&action.sa_mask, signal); });
  forAll([&](int signal) {
    struct sigaction before{};
    sigaction(signal, nullptr, &before);
    if (signal == SIGINT || signal == SIGTERM || before.sa_handler != SIG_IGN) // scripts send these two to what they started
      sigaction(signal, &action, nullptr);
  });
}

void endBySignal(int signal) {
  std::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  kill(getpid(), signal);
  _exit(128 + signal); // where the signal is blocked for good
}

void endByNotedSignal() { endBySignal(noted ? noted.load() : SIGINT); }

Interruptible::Interruptible(Signals signals) {
  raised = false;
  noting = signals == All ? Noting::All : Noting::CtrlC;
}

Interruptible::~Interruptible() { noting = Noting::Nothing; }

const std::atomic<bool> &Interruptible::flag() { return raised; }

void Interruptible::check() {
  if (raised)
    throw Interrupted{"interrupted; nothing was kept, run the same command again"};
}

ScratchFile::ScratchFile(const std::filesystem::path &path) : slot_(-1) {
  std::error_code error;
  std::string text = std::filesystem::absolute(path, error).string();
  if (error || text.size() >= PATH_MAX)
    return;
  for (size_t i = 0; i < scratch.size(); ++i) {
    int expected = Scratch::Free;
    if (!scratch[i].state.compare_exchange_strong(expected, Scratch::Writing))
      continue;
    std::copy_n(text.c_str(), text.size() + 1, scratch[i].path);
    scratch[i].state = Scratch::Named;
    slot_ = int(i);
    return;
  }
}

ScratchFile::~ScratchFile() {
  if (slot_ >= 0)
    scratch[size_t(slot_)].state = Scratch::Free;
}

} // namespace heddle::tool
