//===- Communicator.h - how ranks of a group talk --------------------------------------------------------------------===//
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace heddle {

/// One rank's end of a group. All ranks make the same calls in the same order, from one thread at a time. No call adds numbers:
/// data only moves, so results cannot depend on the group's size. Failure of a peer ends the process (MPI) or throws (threads).
class Communicator {
public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;
  virtual int64_t ranksOnHost() const = 0; // ranks sharing this host, for the default thread count
  /// `data` is [rows][rowBytes]; rank r contributes bytes [begin[r], end[r]) of each row; afterwards all ranks have all of them.
  virtual void allGather(std::byte *data, int64_t rows, int64_t rowBytes, std::span<const int64_t> begin, std::span<const int64_t> end) = 0;
  /// Rank 0's message reaches everyone. Receivers sleep (no busy wait) until it comes: an idle group uses no CPU.
  virtual void broadcast(std::vector<std::byte> &message) = 0;
};

std::unique_ptr<Communicator> makeSelfCommunicator();                                    // one rank
std::vector<std::unique_ptr<Communicator>> makeThreadCommunicators(int64_t ranks);       // tests: ranks as threads
std::unique_ptr<Communicator> makeMpiCommunicator(int *argc, char ***argv);              // library heddle_comm_mpi, the only user of mpi.h

} // namespace heddle
