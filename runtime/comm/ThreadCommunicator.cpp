//===- ThreadCommunicator.cpp - ranks as threads of one process ------------------------------------------------------===//
#include "runtime/comm/Columns.h"
#include "runtime/comm/Communicator.h"
#include "runtime/comm/Waiting.h"
#include <atomic>

namespace heddle {
namespace {

/// What the ranks of a group share; lives as long as one of them. A call has two phases, "my data can be read" and "I have read
/// yours": each rank counts the phases that it has entered, and waits until all others have entered as many.
struct Group {
  struct alignas(128) Rank {
    std::atomic<uint64_t> phase{0};
    std::atomic<bool> gone{false};
    std::byte *data = nullptr;                       // of the running all-gather
    const std::vector<std::byte> *message = nullptr; // of the running broadcast
  };
  explicit Group(int64_t ranks) : ranks(ranks) {}
  std::vector<Rank> ranks;
  std::atomic<uint32_t> events{0}; // changes after every phase and departure: sleepers wait on it
};

/// One rank; used by one thread at a time, the other ranks by other threads. Destroying it before the others have made their last
/// call is how a rank "dies": they throw CommError.
class ThreadCommunicator : public Communicator {
public:
  ThreadCommunicator(std::shared_ptr<Group> group, int64_t rank) : group_(std::move(group)), rank_(rank) {}
  ~ThreadCommunicator() override { abandon(); }

  int64_t rank() const override { return rank_; }
  int64_t size() const override { return static_cast<int64_t>(group_->ranks.size()); }
  int64_t ranksOnHost() const override { return size(); }

  void allGather(std::byte *data, int64_t rows, int64_t rowBytes, std::span<const int64_t> begin,
                 std::span<const int64_t> end) override {
    group_->ranks[rank_].data = data;
    enterPhase();
    awaitAll(false);
    for (int64_t r = 0; r < size(); ++r) {
      if (r == rank_ || end[r] <= begin[r])
        continue;
      for (int64_t row = 0; row < rows; ++row)
        std::memcpy(data + row * rowBytes + begin[r], group_->ranks[r].data + row * rowBytes + begin[r], end[r] - begin[r]);
    }
    enterPhase();
    awaitAll(false);
  }

  void broadcast(std::vector<std::byte> &message) override {
    if (rank_ == 0)
      group_->ranks[0].message = &message;
    enterPhase();
    if (rank_ != 0) {
      await(0, true);
      message = *group_->ranks[0].message;
    }
    enterPhase();
    if (rank_ == 0)
      awaitAll(true); // the message is the caller's again
  }

  void meet() override {
    enterPhase();
    awaitAll(true);
  }

  void abandon() noexcept override {
    group_->ranks[rank_].gone.store(true, std::memory_order_release);
    wakeAll();
  }

private:
  void enterPhase() {
    group_->ranks[rank_].phase.store(++phase_, std::memory_order_release);
    wakeAll();
  }
  void wakeAll() noexcept {
    group_->events.fetch_add(1, std::memory_order_acq_rel);
    group_->events.notify_all();
  }
  void awaitAll(bool sleep) {
    for (int64_t r = 0; r < size(); ++r)
      await(r, sleep);
  }
  void await(int64_t r, bool sleep) {
    BusyWait busy;
    for (;;) {
      uint32_t seen = group_->events.load(std::memory_order_acquire);
      bool gone = group_->ranks[r].gone.load(std::memory_order_acquire); // before the phase: leaving is a rank's last act
      if (group_->ranks[r].phase.load(std::memory_order_acquire) >= phase_)
        return;
      if (gone)
        throw CommError("rank " + std::to_string(r) + " left the group while rank " + std::to_string(rank_) + " waited for it");
      if (sleep)
        group_->events.wait(seen, std::memory_order_acquire);
      else
        busy.pause();
    }
  }

  std::shared_ptr<Group> group_;
  int64_t rank_;
  uint64_t phase_ = 0;
};

} // namespace

std::vector<std::unique_ptr<Communicator>> makeThreadCommunicators(int64_t ranks) {
  auto group = std::make_shared<Group>(ranks);
  std::vector<std::unique_ptr<Communicator>> result;
  for (int64_t r = 0; r < ranks; ++r)
    result.push_back(std::make_unique<ThreadCommunicator>(group, r));
  return result;
}

} // namespace heddle
