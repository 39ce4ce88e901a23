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

/// A heddle-keeper at work; process 0: none could be started (a program that was copied away alone, no more processes).
struct Keeper {
  pid_t process = 0;
  int lifeline = -1; // its stdin. Closed, by the system at the latest, it is time to remove the folder
};

/// `watched`: a process that the keeper looks at meanwhile, as "RANK PROCESS HOST"; while it is stopped the keeper says
/// "heddle-keeper: stopped RANK PROCESS HOST" on our standard error every second. Empty: none, and the keeper says nothing.
Keeper startKeeper(const std::filesystem::path &folder, const std::string &watched = {});

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
  void keepOne();
  std::filesystem::path path_;
  int lock_ = -1; // the folder itself, locked: other process namespaces see no process of ours
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closing_ = false;
  Keeper keeper_; // its process is of `watcher_` once that runs
  std::thread watcher_;
};

/// Where temporary things may lie, best first: $XDG_RUNTIME_DIR, $TMPDIR, /tmp. Variables that hold no absolute path are left
/// out.
std::vector<std::filesystem::path> temporaryBases();

} // namespace heddle
