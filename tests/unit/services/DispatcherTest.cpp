//===- DispatcherTest.cpp - every request is refused or hears its end -----------------------------------------------===//
#include "services/frontend/Dispatcher.h"
#include <gtest/gtest.h>
#include <thread>

using namespace heddle;
using namespace std::chrono_literals;

namespace {

struct Sink final : RequestSink {
  std::vector<Event> events;
  std::string rejected, lost;
  void onEvent(const Event &event) override { events.push_back(event); }
  void onRejected(const std::string &reason) override { rejected = reason; }
  void onLost(const std::string &reason) override { lost = reason; }
};

class DispatcherTest : public testing::Test {
protected:
  DispatcherTest() {
    dispatcher.attach([this](const internal::FrontendMessage &message) {
      sent.push_back(message);
      return linked;
    });
  }
  Supervisor::Observer &group() { return dispatcher; }
  void ready() { group().groupReady(1, {}); }
  std::shared_ptr<Sink> submit(uint64_t *id = nullptr) {
    auto sink = std::make_shared<Sink>();
    auto result = dispatcher.submit(Request{0, {1}, {}}, sink);
    refusal = std::holds_alternative<Refusal>(result) ? std::get<Refusal>(result) : Refusal{};
    if (id)
      *id = std::holds_alternative<uint64_t>(result) ? std::get<uint64_t>(result) : 0;
    return sink;
  }
  void event(uint64_t id, StopReason stop = StopReason::None) {
    internal::WorkerMessage message;
    message.mutable_events()->add_events()->set_request(id);
    message.mutable_events()->mutable_events(0)->set_stop(static_cast<uint32_t>(stop));
    group().message(std::move(message));
  }

  std::vector<Dispatcher::State> states;
  std::vector<internal::FrontendMessage> sent;
  bool linked = true;
  Refusal refusal;
  Dispatcher dispatcher{3, [this](Dispatcher::State state, const std::string &) { states.push_back(state); }};
};

TEST_F(DispatcherTest, RefusesUntilAGroupIsReady) {
  submit();
  EXPECT_EQ(refusal.message, "the worker group is starting; try again in a moment");
  ready();
  uint64_t id = 0;
  auto sink = submit(&id);
  ASSERT_EQ(refusal.message, "");
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].submit().request(), id);
  event(id);
  event(id, StopReason::MaxTokens);
  event(id); // after its end nothing more comes
  EXPECT_EQ(sink->events.size(), 2u);
  EXPECT_EQ(dispatcher.active(), 0u);
}

TEST_F(DispatcherTest, ABrokenLinkRefusesAndLeavesNothingBehind) {
  ready();
  linked = false;
  submit();
  EXPECT_EQ(refusal.kind, Refusal::Kind::Unavailable);
  EXPECT_EQ(dispatcher.active(), 0u);
}

TEST_F(DispatcherTest, TheQueueLimitCountsRequestsWithoutAnEvent) {
  ready();
  uint64_t first = 0, ignored = 0;
  submit(&first);
  submit();
  submit();
  submit(&ignored);
  EXPECT_EQ(refusal.kind, Refusal::Kind::QueueFull);
  EXPECT_EQ(refusal.message, "the queue is full, 3 requests wait; retry in 1 s");
  event(first); // it runs now
  submit();
  EXPECT_EQ(refusal.message, "");
  submit();
  EXPECT_EQ(refusal.kind, Refusal::Kind::QueueFull);
  dispatcher.cancel(first); // it did not wait: no place comes free
  submit();
  EXPECT_EQ(refusal.kind, Refusal::Kind::QueueFull);
}

TEST_F(DispatcherTest, CancelReachesTheEngineOnceAndSilencesTheSink) {
  ready();
  uint64_t id = 0;
  auto sink = submit(&id);
  dispatcher.cancel(id);
  dispatcher.cancel(id);
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[1].cancel().request(), id);
  event(id, StopReason::Cancelled);
  EXPECT_TRUE(sink->events.empty());
}

TEST_F(DispatcherTest, RejectionGoesToItsRequest) {
  ready();
  uint64_t id = 0;
  auto sink = submit(&id), other = submit();
  internal::WorkerMessage message;
  message.mutable_rejected()->set_request(id);
  message.mutable_rejected()->set_reason("no");
  group().message(std::move(message));
  EXPECT_EQ(sink->rejected, "no");
  EXPECT_EQ(other->rejected, "");
  EXPECT_EQ(dispatcher.active(), 1u);
}

TEST_F(DispatcherTest, ALostGroupEndsItsRequestsAndTheNextOneServes) {
  ready();
  auto sink = submit();
  group().groupLost("rank 1 died");
  EXPECT_EQ(sink->lost, "the worker group ended (rank 1 died) and is restarting");
  submit();
  EXPECT_EQ(refusal.kind, Refusal::Kind::Unavailable);
  ready();
  submit();
  EXPECT_EQ(refusal.message, "");
  using S = Dispatcher::State;
  EXPECT_EQ(states, (std::vector<S>{S::Serving, S::Forming, S::Serving}));
}

TEST_F(DispatcherTest, DrainWaitsForRequestsAndTakesNoNewOnes) {
  ready();
  uint64_t id = 0;
  auto sink = submit(&id);
  std::thread engine([&] {
    std::this_thread::sleep_for(100ms);
    event(id, StopReason::MaxTokens);
  });
  auto start = std::chrono::steady_clock::now();
  dispatcher.drain(10s);
  auto took = std::chrono::steady_clock::now() - start;
  engine.join();
  EXPECT_GE(took, 90ms);
  EXPECT_LT(took, 5s);
  EXPECT_EQ(sink->events.size(), 1u);
  EXPECT_EQ(sink->lost, "");
  submit();
  EXPECT_EQ(refusal.message, "the server is stopping");
  ready(); // too late to matter
  EXPECT_EQ(dispatcher.state(), Dispatcher::State::Draining);
}

TEST_F(DispatcherTest, DrainEndsAfterItsGraceAndWhenHurried) {
  ready();
  auto sink = submit();
  dispatcher.drain(50ms);
  EXPECT_EQ(sink->lost, "the server is stopping");

  Dispatcher other(3, [](auto, const auto &) {});
  other.attach([](const auto &) { return true; });
  static_cast<Supervisor::Observer &>(other).groupReady(1, {});
  other.submit(Request{0, {1}, {}}, std::make_shared<Sink>());
  other.hurry();
  auto start = std::chrono::steady_clock::now();
  other.drain(20s);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

} // namespace
