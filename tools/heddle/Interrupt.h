//===- Interrupt.h - Ctrl-C, SIGTERM and SIGHUP -------------------------------------------------------------------------===//
#pragma once
#include <atomic>
#include <filesystem>
#include <string>

namespace heddle::tool {

/// Once, at the start of main(): from now on SIGINT, SIGTERM and SIGHUP remove what ScratchFile names and end the program by that
/// signal, as the shell expects it (status 128 + its number), except as an Interruptible says. A SIGHUP that is ignored stays so.
void takeSignals();

/// Thrown where work ends because of a signal that was only noted: main() lets everything be cleaned up and ends by the signal.
struct Interrupted {
  std::string message; // a line for stderr; may be empty
};

/// While it lives, a first signal is only noted. One at a time, in one thread; a signal noted earlier is forgotten by the
/// constructor. A second signal ends the program as without it.
class Interruptible {
public:
  enum Signals {
    CtrlC, // SIGINT; the others end the program at once, also in the middle of an answer
    All
  };
  explicit Interruptible(Signals signals = CtrlC);
  ~Interruptible();
  Interruptible(const Interruptible &) = delete;
  static bool interrupted() { return flag(); }
  static const std::atomic<bool> &flag(); // for engines and other threads to look at
  static void check();                    // throws Interrupted when a signal was noted
};

/// Ends the program by the signal noted last (or SIGINT), without any cleaning up.
[[noreturn]] void endByNotedSignal();
/// Ends the program by this signal, whatever is done with it otherwise.
[[noreturn]] void endBySignal(int signal);

/// Names a file or a folder with all that is in it, to be removed if a signal ends the program while this lives. Any thread.
class ScratchFile {
public:
  explicit ScratchFile(const std::filesystem::path &path);
  ~ScratchFile(); // removes nothing: in the normal course that is its owner's business
  ScratchFile(const ScratchFile &) = delete;

private:
  int slot_;
};

} // namespace heddle::tool
