//===- MpiCommunicator.cpp - ranks as MPI processes ------------------------------------------------------------------===//
//
// Inside a host everything goes through a window of shared memory (HostWindow); between hosts the leaders of the hosts, their
// lowest ranks, exchange point-to-point messages and pass them on by the window. No collective of MPI runs after construction:
// their waits burn a core, and no call of theirs matches a receiver that polls. meet() polls a barrier between naps.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/comm/Columns.h"
#include "runtime/comm/Communicator.h"
#include "runtime/comm/Host.h"
#include "runtime/comm/HostWindow.h"
#include "runtime/comm/Waiting.h"
#include "runtime/host/SharedMemory.h"
#include <exception>
#include <mpi.h>
#include <numeric>
#include <optional>

namespace heddle {
namespace {

constexpr int kMessageTag = 1, kGatherTag = 2;

void check(int status, const char *what) {
  if (status == MPI_SUCCESS)
    return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw CommError(std::string("MPI: ") + what + " failed: " + text);
}

/// One rank = one process. Constructed and destroyed by all ranks together; calls come from one thread at a time
/// (MPI_THREAD_SERIALIZED). Destroyed by an exception it ends the whole group, as the others would wait for ever.
class MpiCommunicator : public Communicator {
public:
  MpiCommunicator(int *argc, char ***argv, const MpiTuning &tuning);
  ~MpiCommunicator() override;

  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  int64_t ranksOnHost() const override { return window_->members(); }
  void allGather(std::byte *data, int64_t rows, int64_t rowBytes, std::span<const int64_t> begin,
                 std::span<const int64_t> end) override;
  void broadcast(std::vector<std::byte> &message) override;
  void meet() override;
  std::atomic<uint64_t> &progress() override { return window_->progress(member_); }
  uint64_t hostProgress() override;
  void abandon() noexcept override { MPI_Abort(MPI_COMM_WORLD, 1); }

private:
  bool leads() const { return hostRanks_[host_][0] == rank_; }
  void findHosts(int host);
  void openWindow(const MpiTuning &tuning);
  void exchangeHosts(int64_t piece, std::span<const Columns> columns);
  void sendToHosts(const std::vector<std::byte> &message);
  void receiveFromRoot(std::vector<std::byte> &message);
  template <class Wait> void finishRequests() {
    for (Wait wait;; wait.pause()) {
      int done = 0;
      check(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE), "MPI_Testall");
      if (done)
        break;
    }
    requests_.clear();
  }

  int rank_ = 0, size_ = 1;
  int exceptions_ = std::uncaught_exceptions();
  MPI_Comm hostComm_ = MPI_COMM_NULL;
  MPI_Win win_ = MPI_WIN_NULL;
  std::vector<std::vector<int>> hostRanks_; // of each host, increasing; hosts by their lowest rank
  size_t host_ = 0;                         // mine
  int64_t member_ = 0;                      // my place among my host's
  int64_t slotBytes_ = 0;
  std::optional<HostWindow> window_;
  uint64_t round_ = 0;
  std::vector<std::byte> outbox_; // leader: what this host's ranks gathered
  std::vector<MPI_Request> requests_;
};

MpiCommunicator::MpiCommunicator(int *argc, char ***argv, const MpiTuning &tuning) {
  int provided = 0;
  check(MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_SERIALIZED)
    throw CommError("MPI: this library gives no MPI_THREAD_SERIALIZED; use an Open MPI or MPICH built with threads");
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  findHosts(tuning.host);
  openWindow(tuning);
}

MpiCommunicator::~MpiCommunicator() {
  if (std::uncaught_exceptions() > exceptions_)
    abandon();
  MPI_Win_unlock_all(win_);
  MPI_Win_free(&win_);
  MPI_Comm_free(&hostComm_);
  MPI_Finalize();
}

/// Splits the group by shared memory and tells every rank who sits where.
void MpiCommunicator::findHosts(int host) {
  check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &hostComm_), "MPI_Comm_split_type");
  if (host >= 0) {
    MPI_Comm real = hostComm_;
    check(MPI_Comm_split(real, host, rank_, &hostComm_), "MPI_Comm_split");
    MPI_Comm_free(&real);
  }
  int leader = rank_;
  MPI_Bcast(&leader, 1, MPI_INT, 0, hostComm_);
  std::vector<int> leaders(size_);
  check(MPI_Allgather(&leader, 1, MPI_INT, leaders.data(), 1, MPI_INT, MPI_COMM_WORLD), "MPI_Allgather");
  std::vector<size_t> hostOfLeader(size_);
  for (int r = 0; r < size_; ++r) {
    if (leaders[r] == r) {
      hostOfLeader[r] = hostRanks_.size();
      hostRanks_.emplace_back();
    }
    hostRanks_[hostOfLeader[leaders[r]]].push_back(r);
  }
  host_ = hostOfLeader[leader];
}

void MpiCommunicator::openWindow(const MpiTuning &tuning) {
  int64_t members = static_cast<int64_t>(hostRanks_[host_].size());
  HostWindow::Sizes sizes = HostWindow::sizesFor(size_, members);
  if (tuning.slotBytes)
    sizes.slotBytes = tuning.slotBytes, sizes.inboxBytes = (size_ - members) * tuning.slotBytes;
  if (tuning.messageBytes)
    sizes.messageBytes = tuning.messageBytes;
  slotBytes_ = sizes.slotBytes;

  // Other hosts' ranks are not the frontend's to check.
  if (std::string problem =
          sharedMemoryShortage("the ranks of this host share", sharedBytes(members, HostWindow::hostBytes(members, sizes)));
      members > 1 && !problem.empty())
    throw CommError(problem); // Open MPI allocates when all ranks have come, so all see the same space, and throw

  // Each rank's segment on pages of its own, which the rank touches first: near to its core. A fresh window is zero.
  MPI_Info info;
  MPI_Info_create(&info);
  MPI_Info_set(info, "alloc_shared_noncontig", "true");
  void *mine = nullptr;
  MPI_Aint bytes = static_cast<MPI_Aint>(HostWindow::segmentBytes(leads(), sizes)) + 128; // room to align
  check(MPI_Win_allocate_shared(bytes, 1, info, hostComm_, &mine, &win_), "MPI_Win_allocate_shared");
  MPI_Info_free(&info);
  MPI_Win_lock_all(MPI_MODE_NOCHECK, win_);
  std::memset(mine, 0, bytes);

  std::vector<std::byte *> segments;
  for (int64_t m = 0; m < members; ++m) {
    MPI_Aint size = 0;
    int unit = 0;
    void *base = nullptr;
    check(MPI_Win_shared_query(win_, static_cast<int>(m), &size, &unit, &base), "MPI_Win_shared_query");
    // Pages are mapped at multiples of their size, so every rank skips the same bytes.
    segments.push_back(reinterpret_cast<std::byte *>((reinterpret_cast<uintptr_t>(base) + 127) & ~uintptr_t{127}));
  }
  member_ = std::find(hostRanks_[host_].begin(), hostRanks_[host_].end(), rank_) - hostRanks_[host_].begin();
  window_.emplace(member_, std::move(segments), sizes);
  MPI_Win_sync(win_);
  check(MPI_Barrier(MPI_COMM_WORLD), "MPI_Barrier"); // nobody publishes before all have zeroed
  MPI_Win_sync(win_);
}

void MpiCommunicator::allGather(std::byte *data, int64_t rows, int64_t rowBytes, std::span<const int64_t> begin,
                                std::span<const int64_t> end) {
  if (size_ == 1)
    return;
  std::vector<Columns> columns(size_);
  int64_t longest = 0;
  for (int r = 0; r < size_; ++r) {
    columns[r] = {data, rows, rowBytes, begin[r], std::max(begin[r], end[r])};
    longest = std::max(longest, columns[r].bytes());
  }
  const std::vector<int> &here = hostRanks_[host_];
  bool alone = here.size() == 1, manyHosts = hostRanks_.size() > 1;
  for (int64_t piece = 0; piece * slotBytes_ < longest; ++piece) {
    int64_t offset = piece * slotBytes_;
    auto size = [&](int r) { return columns[r].pieceSize(piece, slotBytes_); };
    ++round_;
    columns[rank_].pack(offset, size(rank_), window_->slot(member_, round_));
    window_->publish(round_);
    if (manyHosts && leads())
      exchangeHosts(piece, columns);
    for (size_t m = 0; m < here.size() && !alone; ++m) {
      if (here[m] == rank_)
        continue;
      window_->await(static_cast<int64_t>(m), round_); // also those with nothing to say: see HostWindow
      columns[here[m]].unpack(offset, size(here[m]), window_->slot(static_cast<int64_t>(m), round_));
    }
    if (!manyHosts)
      continue;
    window_->awaitInbox(round_);
    const std::byte *from = window_->inbox(round_);
    for (size_t h = 0; h < hostRanks_.size(); ++h)
      for (int r : hostRanks_[h]) {
        if (h == host_)
          break;
        columns[r].unpack(offset, size(r), from);
        from += size(r);
      }
  }
}

/// Leader: this host's pieces to all other leaders, theirs into the inbox, in order of hosts and ranks.
void MpiCommunicator::exchangeHosts(int64_t piece, std::span<const Columns> columns) {
  std::byte *to = window_->inbox(round_);
  for (size_t h = 0; h < hostRanks_.size(); ++h) {
    if (h == host_)
      continue;
    int64_t bytes = 0;
    for (int r : hostRanks_[h])
      bytes += columns[r].pieceSize(piece, slotBytes_);
    if (bytes > 0)
      check(MPI_Irecv(to, static_cast<int>(bytes), MPI_BYTE, hostRanks_[h][0], kGatherTag, MPI_COMM_WORLD,
                      &requests_.emplace_back()),
            "MPI_Irecv");
    to += bytes;
  }
  outbox_.clear();
  const std::vector<int> &here = hostRanks_[host_];
  for (size_t m = 0; m < here.size(); ++m) {
    window_->await(static_cast<int64_t>(m), round_);
    const std::byte *slot = window_->slot(static_cast<int64_t>(m), round_);
    outbox_.insert(outbox_.end(), slot, slot + columns[here[m]].pieceSize(piece, slotBytes_));
  }
  for (size_t h = 0; h < hostRanks_.size(); ++h)
    if (h != host_ && !outbox_.empty())
      check(MPI_Isend(outbox_.data(), static_cast<int>(outbox_.size()), MPI_BYTE, hostRanks_[h][0], kGatherTag, MPI_COMM_WORLD,
                      &requests_.emplace_back()),
            "MPI_Isend");
  finishRequests<BusyWait>();
  window_->publishInbox(round_);
}

void MpiCommunicator::broadcast(std::vector<std::byte> &message) {
  if (size_ == 1)
    return;
  if (!leads()) {
    window_->receive(message);
    return;
  }
  if (rank_ != 0)
    receiveFromRoot(message);
  if (rank_ == 0)
    sendToHosts(message);
  window_->send(message);
  finishRequests<BackOff>();
}

void MpiCommunicator::meet() {
  check(MPI_Ibarrier(MPI_COMM_WORLD, &requests_.emplace_back()), "MPI_Ibarrier");
  finishRequests<BackOff>();
}

uint64_t MpiCommunicator::hostProgress() {
  uint64_t sum = 0;
  for (int64_t member = 0; member < window_->members(); ++member)
    sum += window_->progress(member).load(std::memory_order_relaxed);
  return sum;
}

void MpiCommunicator::sendToHosts(const std::vector<std::byte> &message) {
  if (message.size() > INT32_MAX)
    throw CommError("a broadcast of " + std::to_string(message.size()) + " bytes is too long for MPI");
  for (size_t h = 1; h < hostRanks_.size(); ++h)
    check(MPI_Isend(message.data(), static_cast<int>(message.size()), MPI_BYTE, hostRanks_[h][0], kMessageTag, MPI_COMM_WORLD,
                    &requests_.emplace_back()),
          "MPI_Isend");
}

void MpiCommunicator::receiveFromRoot(std::vector<std::byte> &message) {
  MPI_Status status;
  int found = 0;
  for (BackOff wait;; wait.pause()) {
    check(MPI_Iprobe(0, kMessageTag, MPI_COMM_WORLD, &found, &status), "MPI_Iprobe");
    if (found)
      break;
  }
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  message.resize(bytes);
  check(MPI_Recv(message.data(), bytes, MPI_BYTE, 0, kMessageTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE), "MPI_Recv");
}

} // namespace

std::unique_ptr<Communicator> makeMpiCommunicator(int *argc, char ***argv, const MpiTuning &tuning) {
  return std::make_unique<MpiCommunicator>(argc, argv, tuning);
}
std::unique_ptr<Communicator> makeMpiCommunicator(int *argc, char ***argv) { return makeMpiCommunicator(argc, argv, {}); }

} // namespace heddle
