//===- GroupProcess.h - one mpirun and everything under it ----------------------------------------------------------===//
#pragma once
#include "services/frontend/GroupOptions.h"
#include "services/frontend/GroupWatch.h"
#include "services/frontend/SocketDirectory.h"
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace heddle {

/// Starts the ranks of one epoch in a process group of their own. Two threads: one starts mpirun and waits for its end (mpirun
/// dies with that thread, by PR_SET_PDEATHSIG), one reads what it writes. `exited` is called once, on the first. The destructor
/// kills and reaps whatever is left, here by process id, known by the folder's mark; ranks on other hosts end with mpirun's
/// daemons there.
class GroupProcess {
public:
  /// Borrows `directory`, where mpirun and the ranks keep their files. Throws GroupError.
  GroupProcess(const GroupOptions &options, uint64_t epoch, const SocketDirectory &directory, std::function<void()> exited);
  ~GroupProcess();
  GroupProcess(const GroupProcess &) = delete;

  bool running() const;
  /// Kills every process of the group and returns when all are gone and reaped; `ranks` are processes known from the hello, which
  /// may have died before as orphans of ours.
  void kill(const std::vector<pid_t> &ranks = {});
  /// A rank of another host of which its keeper there said just now that it is stopped.
  std::optional<GroupWatch::Rank> stoppedElsewhere() const;
  /// What a worker said went wrong ("rank 1 on host b: …"), if one did.
  std::optional<std::string> workerError() const;
  /// workerError, or else the most telling line of mpirun's, or else its exit status. Complete once kill() has returned.
  std::string reason() const;

private:
  void live(const GroupOptions &options, uint64_t epoch, const std::filesystem::path &session, int output,
            std::promise<std::string> started);
  std::vector<pid_t> processes() const;
  void read(int input);
  void keep(const std::string &line);

  const SocketDirectory &directory_;
  bool verbose_;
  std::function<void()> exited_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool readAll_ = false; // the output has ended
  pid_t pid_ = 0;        // of mpirun; 0 after it was reaped
  int status_ = 0;       // waitpid's
  std::optional<std::string> workerError_, death_;
  std::optional<std::pair<GroupWatch::Rank, std::chrono::steady_clock::time_point>> stopped_;
  std::deque<std::string> lines_; // the first other lines
  std::thread life_, reader_;
};

} // namespace heddle
