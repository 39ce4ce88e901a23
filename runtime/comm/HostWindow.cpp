//===- HostWindow.cpp - the ranks of one host over shared memory -----------------------------------------------------===//
#include "runtime/comm/HostWindow.h"
#include "runtime/comm/Waiting.h"
#include <algorithm>
#include <chrono>
#include <climits>
#include <cstring>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace heddle {

/// At the start of every segment. Each flag has one writer, and stands 128 B apart from the next, as CPUs prefetch lines in
/// pairs.
struct HostWindow::Header {
  alignas(128) std::atomic<uint64_t> round;      // published by this member
  alignas(128) std::atomic<uint64_t> inboxRound; // leader: of its inbox
  alignas(128) std::atomic<uint64_t> progress;   // of this member's work
  alignas(128) std::atomic<uint32_t> piece;      // leader: pieces sent (a futex); others: pieces read
  int64_t messageBytes, pieceBytes;              // leader: of the running message and of its newest piece
};

namespace {

constexpr int64_t kAlign = 128, kPage = 4096;
int64_t alignUp(int64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

// The window is shared by processes, so these are not the _PRIVATE operations, which std::atomic::wait would use.
void futexWait(std::atomic<uint32_t> &word, uint32_t while_) {
  syscall(SYS_futex, &word, FUTEX_WAIT, while_, nullptr, nullptr, 0);
}
void futexWakeAll(std::atomic<uint32_t> &word) { syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

} // namespace

static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

HostWindow::Sizes HostWindow::sizesFor(int64_t ranks, int64_t members) {
  int64_t slot = std::clamp<int64_t>((64 << 20) / ranks, 4 << 10, 256 << 10);
  return {slot, 64 << 10, (ranks - members) * slot};
}

uint64_t HostWindow::hostBytes(int64_t members, const Sizes &sizes) {
  auto onPages = [](size_t bytes) { return (bytes + kAlign + kPage - 1) / kPage * kPage; };
  return static_cast<uint64_t>(members - 1) * onPages(segmentBytes(false, sizes)) + onPages(segmentBytes(true, sizes));
}

// A segment: header, two slots; the leader's goes on with the message area and two inboxes.
size_t HostWindow::segmentBytes(bool leader, const Sizes &sizes) {
  size_t bytes = sizeof(Header) + 2 * alignUp(sizes.slotBytes);
  if (leader)
    bytes += alignUp(sizes.messageBytes) + 2 * alignUp(sizes.inboxBytes);
  return bytes;
}

HostWindow::HostWindow(int64_t member, std::vector<std::byte *> segments, const Sizes &sizes)
    : member_(member), segments_(std::move(segments)), sizes_(sizes) {}

HostWindow::Header &HostWindow::header(int64_t member) const { return *reinterpret_cast<Header *>(segments_[member]); }

std::byte *HostWindow::slot(int64_t member, uint64_t round) const {
  return segments_[member] + sizeof(Header) + (round & 1) * alignUp(sizes_.slotBytes);
}
std::byte *HostWindow::messageArea() const { return segments_[0] + sizeof(Header) + 2 * alignUp(sizes_.slotBytes); }
std::byte *HostWindow::inbox(uint64_t round) const {
  return messageArea() + alignUp(sizes_.messageBytes) + (round & 1) * alignUp(sizes_.inboxBytes);
}

void HostWindow::publish(uint64_t round) { header(member_).round.store(round, std::memory_order_release); }
void HostWindow::publishInbox(uint64_t round) { header(0).inboxRound.store(round, std::memory_order_release); }

std::atomic<uint64_t> &HostWindow::progress(int64_t member) const { return header(member).progress; }

void HostWindow::await(int64_t member, uint64_t round) const {
  const std::atomic<uint64_t> &flag = header(member).round;
  for (BusyWait wait; flag.load(std::memory_order_acquire) < round;)
    wait.pause();
}
void HostWindow::awaitInbox(uint64_t round) const {
  const std::atomic<uint64_t> &flag = header(0).inboxRound;
  for (BusyWait wait; flag.load(std::memory_order_acquire) < round;)
    wait.pause();
}

/// Until every member has read piece number `piece`.
void HostWindow::awaitReaders(uint32_t piece) const {
  for (int64_t m = 1; m < members(); ++m)
    for (BackOff wait; header(m).piece.load(std::memory_order_acquire) != piece;)
      wait.pause();
}

void HostWindow::send(std::span<const std::byte> message) {
  if (members() == 1)
    return;
  Header &mine = header(0);
  int64_t total = static_cast<int64_t>(message.size()), sent = 0;
  do { // an empty message is one empty piece
    int64_t n = std::min(total - sent, sizes_.messageBytes);
    awaitReaders(piece_);
    if (n > 0)
      std::memcpy(messageArea(), message.data() + sent, n);
    mine.messageBytes = total;
    mine.pieceBytes = n;
    mine.piece.store(++piece_, std::memory_order_release);
    futexWakeAll(mine.piece);
    sent += n;
  } while (sent < total);
}

void HostWindow::receive(std::vector<std::byte> &message) {
  Header &leader = header(0);
  message.clear();
  do {
    // Between two steps the leader samples for less than a millisecond: too short to fall asleep.
    auto begin = std::chrono::steady_clock::now();
    BusyWait wait;
    while (leader.piece.load(std::memory_order_acquire) == piece_) {
      if (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(1))
        wait.pause();
      else
        futexWait(leader.piece, piece_);
    }
    ++piece_;
    message.insert(message.end(), messageArea(), messageArea() + leader.pieceBytes);
    int64_t total = leader.messageBytes;
    header(member_).piece.store(piece_, std::memory_order_release);
    if (static_cast<int64_t>(message.size()) == total)
      return;
  } while (true);
}

} // namespace heddle
