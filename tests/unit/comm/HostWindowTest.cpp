// The shared-memory protocol of a host, members as threads on plain memory (so that the thread sanitizer sees it).
#include "runtime/comm/HostWindow.h"
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <thread>

using namespace heddle;

namespace {

void onMembers(int64_t members, const HostWindow::Sizes &sizes, const std::function<void(HostWindow &, int64_t)> &body) {
  std::vector<std::byte *> segments;
  for (int64_t m = 0; m < members; ++m) {
    size_t bytes = (HostWindow::segmentBytes(m == 0, sizes) + 127) / 128 * 128;
    segments.push_back(static_cast<std::byte *>(std::aligned_alloc(128, bytes)));
    std::fill_n(segments.back(), bytes, std::byte{0});
  }
  {
    std::vector<std::jthread> threads;
    for (int64_t m = 0; m < members; ++m)
      threads.emplace_back([&, m] {
        HostWindow window(m, segments, sizes);
        body(window, m);
      });
  }
  for (std::byte *segment : segments)
    std::free(segment);
}

TEST(HostWindow, SlotsAreNotOverwrittenBeforeAllHaveReadThem) {
  onMembers(4, {.slotBytes = 256, .messageBytes = 128, .inboxBytes = 64}, [](HostWindow &window, int64_t me) {
    int64_t wrong = 0;
    for (uint64_t round = 1; round <= 2000; ++round) {
      if ((round + me) % 7 == 0)
        std::this_thread::yield(); // members drift
      std::fill_n(window.slot(me, round), 256, static_cast<std::byte>(round * 5 + me));
      window.publish(round);
      if (me == 0) {
        for (int64_t m = 0; m < window.members(); ++m)
          window.await(m, round);
        std::fill_n(window.inbox(round), 64, static_cast<std::byte>(round * 3));
        window.publishInbox(round);
      }
      for (int64_t m = 0; m < window.members(); ++m) {
        window.await(m, round);
        const std::byte *slot = window.slot(m, round);
        wrong += std::count(slot, slot + 256, static_cast<std::byte>(round * 5 + m)) != 256;
      }
      window.awaitInbox(round);
      const std::byte *inbox = window.inbox(round);
      wrong += std::count(inbox, inbox + 64, static_cast<std::byte>(round * 3)) != 64;
    }
    EXPECT_EQ(wrong, 0) << "member " << me;
  });
}

TEST(HostWindow, MessagesInPiecesArriveWholeAndInOrder) {
  onMembers(3, {.slotBytes = 64, .messageBytes = 100, .inboxBytes = 0}, [](HostWindow &window, int64_t me) {
    for (size_t bytes : {0u, 1u, 99u, 100u, 101u, 1000u, 0u, 12345u}) {
      std::vector<std::byte> sent(bytes), got;
      for (size_t i = 0; i < bytes; ++i)
        sent[i] = static_cast<std::byte>(i * 7 + bytes);
      if (me == 0) {
        window.send(sent);
        continue;
      }
      window.receive(got);
      ASSERT_EQ(got, sent);
    }
  });
}

TEST(HostWindow, AnIdleReceiverSleeps) {
  onMembers(2, {.slotBytes = 64, .messageBytes = 100, .inboxBytes = 0}, [](HostWindow &window, int64_t me) {
    if (me == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      window.send({});
      return;
    }
    timespec before{}, after{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    std::vector<std::byte> message;
    window.receive(message);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    double ms =
        static_cast<double>(after.tv_sec - before.tv_sec) * 1e3 + static_cast<double>(after.tv_nsec - before.tv_nsec) * 1e-6;
    EXPECT_LT(ms, 30) << "milliseconds of CPU in 300 of waiting"; // about 1 is spent before falling asleep
  });
}

} // namespace
