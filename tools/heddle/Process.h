//===- Process.h - child processes and clean ends ---------------------------------------------------------------------===//
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace heddle::tool {

struct ChildResult {
  int status;         // exit status, or 128 + the signal that ended it
  std::string output; // stdout and stderr together, unless they were passed through
};

struct ChildOptions {
  std::vector<std::pair<std::string, std::string>> environment; // on top of ours
  bool passThrough = false;                                     // the child writes to our stdout and stderr
  std::function<void()> tick;                                   // called a few times a second while the child runs
};

/// Runs argv[0], looked up in PATH, without a shell, and waits. Throws Failure when it cannot be started, and when this process
/// is interrupted meanwhile (the child is ended first).
ChildResult runChild(const std::vector<std::string> &argv, const ChildOptions &options = {});

/// While it lives, SIGINT and SIGTERM only raise a flag, so that temporary files get removed on the way out.
class Interruptible {
public:
  Interruptible();
  ~Interruptible();
  static bool interrupted();
  static void check(); // throws Failure("interrupted") when the flag is up
};

/// A fresh folder inside `parent`, removed with everything in it at the end.
class TemporaryDirectory {
public:
  TemporaryDirectory(const std::filesystem::path &parent, const std::string &prefix);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory &) = delete;
  TemporaryDirectory &operator=(const TemporaryDirectory &) = delete;
  const std::filesystem::path &path() const { return path_; }

private:
  std::filesystem::path path_;
};

} // namespace heddle::tool
