//===- Supervisor.h - starts the worker group, watches it, starts it again ------------------------------------------===//
#pragma once
#include "services/frontend/GroupOptions.h"
#include "services/frontend/GroupWatch.h"
#include "services/frontend/LinkServer.h"
#include "services/frontend/SocketDirectory.h"
#include <condition_variable>
#include <optional>
#include <thread>
#include <vector>

namespace heddle {

class GroupProcess;

/// Keeps one group of workers alive. Its own thread launches an epoch, waits for the hello and for Ready, and then sleeps until
/// something ends the epoch: mpirun's exit, the link's end, or GroupWatch, which says that the group hangs. Then it
/// kills and reaps what is left and launches the next epoch, at once at first and later and later while groups die young. A group
/// that fails before any was ever ready, and says why, is not tried again, nor any group when `relaunch` is false.
class Supervisor final : private LinkServer::Handler {
public:
  /// Called without a lock held: message() on gRPC's threads, the others on the supervisor's thread, never after stop().
  struct Observer {
    virtual ~Observer() = default;
    virtual void groupReady(uint64_t epoch, const internal::Ready &ready) = 0;
    virtual void groupLost(const std::string &reason) = 0;   // another will come
    virtual void groupFailed(const std::string &reason) = 0; // none will come
    virtual void message(internal::WorkerMessage &&message) = 0;
  };

  /// `planKey` is the plan that the workers must hold. Throws GroupError.
  Supervisor(GroupOptions options, std::string planKey, bool relaunch, Observer &observer);
  ~Supervisor(); // stop()

  void start();
  /// Asks the group to end, kills what does not within the limit (or all at once if not `inOrder`), and returns when no process
  /// is left.
  void stop(bool inOrder = true);
  bool send(const internal::FrontendMessage &message) { return link_.send(message); }
  uint64_t epoch() const;
  /// Process ids of the ranks on this host, rank 0 first (tests kill them).
  std::vector<pid_t> localRanks() const;

private:
  enum class Phase { Launched, Attached, Ready, Gone };
  using Clock = std::chrono::steady_clock;

  std::string hello(const internal::Hello &hello) override;
  void received(uint64_t epoch, internal::WorkerMessage &&message) override;
  void lost(uint64_t epoch) override;

  void run();
  std::string runEpoch(bool &wasReady, bool &explained);
  /// One look at the epoch of the moment: why it is over, or nothing. Called with the lock held.
  std::optional<std::string> verdict(const GroupProcess &process);
  std::optional<GroupWatch::Rank> stoppedRank(const GroupProcess &process) const;
  void endInOrder(GroupProcess &process);

  const GroupOptions options_;
  const std::string planKey_;
  const bool relaunch_;
  Observer &observer_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false, inOrder_ = true;
  uint64_t epoch_ = 0;
  Phase phase_ = Phase::Gone;
  bool exited_ = false, linkLost_ = false;
  std::optional<internal::Ready> ready_;
  GroupWatch watch_;
  std::vector<std::pair<int64_t, pid_t>> localRanks_; // rank, process

  SocketDirectory directory_;
  LinkServer link_; // after what its threads touch
  std::thread thread_;
};

} // namespace heddle
