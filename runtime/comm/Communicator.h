//===- Communicator.h - how ranks of a group talk --------------------------------------------------------------------===//
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace heddle {

/// One rank's end of a group. All ranks make the same calls in the same order, from one thread at a time. No call adds numbers:
/// data only moves, so results cannot depend on the group's size. Failure of a peer ends the process (MPI) or throws CommError
/// (threads).
class Communicator {
public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;
  virtual int64_t ranksOnHost() const = 0; // ranks sharing this host, for the default thread count
  /// `data` is [rows][rowBytes]; rank r contributes bytes [begin[r], end[r]) of each row; afterwards all ranks have all of them.
  virtual void allGather(std::byte *data, int64_t rows, int64_t rowBytes, std::span<const int64_t> begin,
                         std::span<const int64_t> end) = 0;
  /// Rank 0's message reaches everyone. Receivers sleep (no busy wait) until it comes: an idle group uses no CPU.
  virtual void broadcast(std::vector<std::byte> &message) = 0;
  /// Returns when all ranks have called it; sleeps meanwhile, as the others may read weights for minutes.
  virtual void meet() = 0;
  /// Counts up while this rank works: a piece of weights read, a kernel run. Whoever works for the group adds to it; whoever
  /// watches may read it at any time, from any thread.
  virtual std::atomic<uint64_t> &progress() { return progress_; }
  /// The counters of this host's ranks, added up: stands still only when none of them gets on. Any thread may call.
  virtual uint64_t hostProgress() { return progress_.load(std::memory_order_relaxed); }
  /// This rank cannot go on; peers must not wait for it. MPI: ends every process of the group, with status 1. Threads: the peers'
  /// calls throw CommError. Call it where an exception is caught that the other ranks do not see.
  virtual void abandon() noexcept {}

private:
  std::atomic<uint64_t> progress_{0};
};

/// A peer left the group. One line.
struct CommError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Tests of the MPI communicator choose these; everyone else takes the defaults. Equal on all ranks, but for `host`.
struct MpiTuning {
  int64_t slotBytes = 0;    // of a gather's slot in the shared window; 0: 256 KiB, less for hundreds of ranks
  int64_t messageBytes = 0; // of a broadcast's piece in the shared window; 0: 64 KiB
  int host = -1;            // >= 0: pretend that ranks of other numbers are on other hosts
};

std::unique_ptr<Communicator> makeSelfCommunicator();                              // one rank
std::vector<std::unique_ptr<Communicator>> makeThreadCommunicators(int64_t ranks); // tests: ranks as threads
/// Library heddle_comm_mpi, the only user of mpi.h. Once per process; the destructor finalizes MPI (collectively).
std::unique_ptr<Communicator> makeMpiCommunicator(int *argc, char ***argv);
std::unique_ptr<Communicator> makeMpiCommunicator(int *argc, char ***argv, const MpiTuning &tuning);

/// Every rank's text on every rank, in rank order (hellos: host names, plan hashes).
std::vector<std::string> gatherStrings(Communicator &group, const std::string &mine);

} // namespace heddle
