//===- Inherited.h - what a process got from its parent, put right ----------------------------------------------------===//
#pragma once
#include <string>

namespace heddle {

/// The first line of each program's main(), before there are threads. Whoever started us may have left
///   descriptors 0 to 2 closed: the next file or socket would become "standard output". They are opened again so that reading
///     finds the end and writing fails with EBADF, as before;
///   signals blocked, or SIGCHLD ignored, with which no child can be waited for: set to the usual. SIGHUP stays ignored if it was
///     (nohup). SIGPIPE and SIGXFSZ are ignored: a reader that went away, or a file that may not grow, is an error of that one
///     write;
///   a umask that denies the owner: what we write for ourselves we must be able to read;
///   no PATH, or one with relative or empty parts: what lies in the current folder is not run by accident, so only the absolute
///     parts stay, or else the usual ones are set;
///   few descriptors: the soft limit is raised to the hard one;
///   a small stack: likewise, and threads get one of a usual size.
/// Before main(), and before any library looks, variables that set OpenMP's and gRPC's libraries are taken out of the
/// environment: threads are `--threads`' business, and with OMP_NUM_THREADS= (set, but empty) LLVM's library ends the program.
void putInheritedStateRight();

/// Why nothing can be done here all the same, with the remedy: the stack may not grow. Empty: it can.
std::string inheritedProblem();

/// Was SIGPIPE ignored before putInheritedStateRight()? Then nobody expects to be ended by it.
bool inheritedIgnoredPipe();

} // namespace heddle
