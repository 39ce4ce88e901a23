//===- KeptFolder.h - a temporary folder that does not outlive its process ----------------------------------------------===//
#pragma once
#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <mutex>
#include <string>
#include <sys/types.h>
#include <thread>
#include <utility>
#include <vector>

namespace heddle {

/// A fresh folder BASE/PREFIX-PID-XXXXXX of mode 0700, removed with all that is in it by the destructor or, however this process
/// ends, SIGKILL included, by a small process of its own (heddle-keeper, beside this program) within a second; a keeper that dies
/// is replaced. Only where both are killed at once does it stay: the next KeptFolder of this user and prefix removes it. A thread
/// of its own waits for the keeper.
class KeptFolder {
public:
  /// The first of `bases` in which a folder can be made, and whose path has at most `longestBase` characters. Throws
  /// std::runtime_error, one line that says what is wrong with each.
  KeptFolder(const std::string &prefix, const std::vector<std::filesystem::path> &bases, size_t longestBase);
  ~KeptFolder();
  KeptFolder(const KeptFolder &) = delete;
  const std::filesystem::path &path() const { return path_; }
  /// The variable that processes which work in the folder are to be started with: once this one is gone, the keeper gives them
  /// five seconds to end by themselves before it ends them.
  std::pair<std::string, std::string> mark() const;

private:
  void startKeeper();
  void keepOne();
  std::filesystem::path path_;
  int lock_ = -1; // the folder itself, locked: other process namespaces see no process of ours
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closing_ = false;
  int lifeline_ = -1; // the keeper's stdin; closed by the system at the latest
  pid_t keeper_ = 0;  // of `watcher_` once that runs
  std::thread watcher_;
};

/// Where temporary things may lie, best first: $XDG_RUNTIME_DIR, $TMPDIR, /tmp. Variables that hold no absolute path are left
/// out.
std::vector<std::filesystem::path> temporaryBases();

} // namespace heddle
