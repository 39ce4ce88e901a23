//===- Process.h - child processes and clean ends ---------------------------------------------------------------------===//
#pragma once
#include "tools/heddle/Interrupt.h"
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace heddle::tool {

struct ChildResult {
  int status;         // exit status, or 128 + the signal that ended it
  std::string output; // stdout and stderr together
};

struct ChildOptions {
  std::vector<std::pair<std::string, std::string>> environment; // on top of ours
  std::vector<std::string> without;                             // variables of ours that it must not see
  std::function<void()> tick;                                   // called a few times a second while the child runs
};

/// Runs argv[0], looked up in PATH, without a shell and with an empty stdin, and waits. Throws Failure when it cannot be started,
/// and Interrupted when an Interruptible notes a signal meanwhile (the child is ended first).
ChildResult runChild(const std::vector<std::string> &argv, const ChildOptions &options = {});

/// A fresh folder inside `parent`, removed with everything in it at the end, also when a signal ends the program.
class TemporaryDirectory {
public:
  TemporaryDirectory(const std::filesystem::path &parent, const std::string &prefix);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory &) = delete;
  TemporaryDirectory &operator=(const TemporaryDirectory &) = delete;
  const std::filesystem::path &path() const { return path_; }

private:
  std::filesystem::path path_;
  std::optional<ScratchFile> scratch_;
};

} // namespace heddle::tool
