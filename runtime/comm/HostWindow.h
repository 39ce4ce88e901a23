//===- HostWindow.h - the ranks of one host over shared memory -------------------------------------------------------===//
//
// Knows no MPI: it works on memory that somebody shares (an MPI window; plain memory in unit tests, members as threads).
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace heddle {

/// One member's view of the window. Member 0 leads: it sends broadcasts and fills the inbox with what other hosts' ranks
/// gathered. Each member brings a zeroed segment of segmentBytes(), which all members see and which outlives the HostWindow. One
/// thread at a time uses a view.
///
/// Gathers go in rounds, counted from 1, the same on every member. In each round a member may write its slot, then publishes, and
/// may read the slots (and, once the leader has published it, the inbox) of that round. All members publish every round and wait
/// for all others in it; therefore two slots, taken in turn, are enough: whoever has seen all members publish round n + 1 knows
/// that they have read the slots of round n.
class HostWindow {
public:
  struct Sizes {
    int64_t slotBytes, messageBytes, inboxBytes;
  };
  /// For a group of `ranks`, of which `members` are on this host.
  static Sizes sizesFor(int64_t ranks, int64_t members);
  static size_t segmentBytes(bool leader, const Sizes &sizes);
  /// What the segments of all members take where they lie: each begins on a page of its own, and some bytes are skipped to align
  /// it.
  static uint64_t hostBytes(int64_t members, const Sizes &sizes);
  HostWindow(int64_t member, std::vector<std::byte *> segments, const Sizes &sizes);

  int64_t members() const { return static_cast<int64_t>(segments_.size()); }
  std::byte *slot(int64_t member, uint64_t round) const;
  void publish(uint64_t round);
  void await(int64_t member, uint64_t round) const;
  std::byte *inbox(uint64_t round) const;
  void publishInbox(uint64_t round); // leader
  void awaitInbox(uint64_t round) const;

  /// A member's Communicator::progress(). Any thread may use it.
  std::atomic<uint64_t> &progress(int64_t member) const;

  void send(std::span<const std::byte> message); // leader
  void receive(std::vector<std::byte> &message); // the others; sleeps on a futex until the leader sends

private:
  struct Header;
  Header &header(int64_t member) const;
  std::byte *messageArea() const;
  void awaitReaders(uint32_t piece) const;

  int64_t member_;
  std::vector<std::byte *> segments_;
  Sizes sizes_;
  uint32_t piece_ = 0; // of broadcasts, counted over all messages
};

} // namespace heddle
