//===- LinkTest.cpp - both ends of the engine link in one process, with a scripted engine ---------------------------===//
#include "services/frontend/LinkServer.h"
#include "services/frontend/SocketDirectory.h"
#include "services/link/Messages.h"
#include "services/worker/WorkerLoop.h"
#include <condition_variable>
#include <gtest/gtest.h>
#include <sys/stat.h>

using namespace heddle;
using namespace std::chrono_literals;

namespace {

/// Gives a request one event per step: token 1, 2, 3 … until max_tokens.
class ScriptedEngine final : public EngineLike {
public:
  int64_t vocabulary() const override { return 4; }
  void submit(Request request) override {
    if (request.prompt.empty())
      throw std::invalid_argument("prompt is empty");
    running_[request.id] = {request.sampling.maxTokens, 0};
  }
  void cancel(uint64_t request) override {
    if (running_.erase(request))
      cancelled_.push_back(request);
  }
  bool idle() const override { return running_.empty() && cancelled_.empty(); }
  std::vector<EntryRows> call(const EntryCall &call) override {
    if (call.entry != "embed")
      throw std::invalid_argument("the program has no entry '" + call.entry + "'");
    EntryRows rows{RowsOf::Sequences, static_cast<int64_t>(call.parts.size()), 2, {}};
    for (const EntryCall::Part &part : call.parts)
      rows.values.insert(rows.values.end(), {static_cast<float>(part.tokens.size()), static_cast<float>(part.types.size())});
    return {rows};
  }
  void startProfile() override {}
  std::vector<KernelTime> endProfile() override { return {{"step.output", 3, 0.5, 0.25, 0.125, 1e9, 2e9, 3e9}}; }
  std::vector<Event> step() override {
    std::vector<Event> events;
    for (uint64_t id : std::exchange(cancelled_, {})) {
      Event event{};
      event.request = id;
      event.stop = StopReason::Cancelled;
      events.push_back(event);
    }
    for (auto it = running_.begin(); it != running_.end();) {
      Event event{};
      event.request = it->first;
      int32_t token = static_cast<int32_t>(++it->second.second);
      event.tokens.push_back({token, -0.5f * static_cast<float>(token), {{token, -0.25f}, {9, -1.0f}}});
      bool last = it->second.second == it->second.first;
      event.stop = last ? StopReason::MaxTokens : StopReason::None;
      events.push_back(event);
      it = last ? running_.erase(it) : std::next(it);
    }
    std::this_thread::sleep_for(1ms);
    return events;
  }
  void evaluate(const std::vector<int32_t> &tokens, int64_t chunk,
                const std::function<void(int64_t, const float *)> &row) override {
    if (chunk < 1)
      throw std::invalid_argument("chunk must be at least 1, not 0");
    for (size_t i = 0; i < tokens.size(); ++i) {
      float logits[4] = {static_cast<float>(tokens[i]), 0, -1, 0.5f};
      row(static_cast<int64_t>(i), logits);
    }
  }

private:
  std::map<uint64_t, std::pair<int64_t, int64_t>> running_; // id: max_tokens, given
  std::vector<uint64_t> cancelled_;
};

/// Notes what the link server hears, and lets the test wait for it.
class Ears final : public LinkServer::Handler {
public:
  std::string hello(const internal::Hello &hello) override { return hello.plan_key() == "good" ? "" : "another plan"; }
  void received(uint64_t epoch, internal::WorkerMessage &&message) override {
    std::lock_guard lock(mutex_);
    epoch_ = epoch;
    messages_.push_back(std::move(message));
    changed_.notify_all();
  }
  void lost(uint64_t) override {
    std::lock_guard lock(mutex_);
    lost_ = true;
    changed_.notify_all();
  }

  /// The next message that is no heartbeat; an empty one after 10 s.
  internal::WorkerMessage next() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (!changed_.wait_for(lock, 10s, [this] { return !messages_.empty(); }))
        return {};
      internal::WorkerMessage message = messages_.front();
      messages_.erase(messages_.begin());
      if (message.has_heartbeat())
        ++heartbeats_;
      else
        return message;
    }
  }
  bool waitLost() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [this] { return lost_; });
  }
  /// The next heartbeat; an empty one after 10 s.
  internal::WorkerHeartbeat nextHeartbeat() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (!changed_.wait_for(lock, 10s, [this] { return !messages_.empty(); }))
        return {};
      internal::WorkerMessage message = messages_.front();
      messages_.erase(messages_.begin());
      if (message.has_heartbeat())
        return message.heartbeat();
    }
  }
  bool waitHeartbeats(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return messages_.size() >= count; });
  }
  uint64_t epoch() {
    std::lock_guard lock(mutex_);
    return epoch_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<internal::WorkerMessage> messages_;
  uint64_t epoch_ = 0;
  size_t heartbeats_ = 0;
  bool lost_ = false;
};

internal::Hello hello(uint64_t epoch, const std::string &key = "good") {
  internal::Hello out;
  out.set_epoch(epoch);
  out.set_plan_key(key);
  return out;
}

/// Collects why the worker's end was lost.
struct Lost {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> reasons;
  WorkerLink::Lost callback() {
    return [this](const std::string &reason) {
      std::lock_guard lock(mutex);
      reasons.push_back(reason);
      changed.notify_all();
    };
  }
  std::string wait() {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, 10s, [this] { return !reasons.empty(); });
    return reasons.empty() ? "nothing" : reasons.front();
  }
};

class LinkTest : public testing::Test {
protected:
  void attach(uint64_t epoch = 7) {
    server.expect(epoch);
    worker = std::make_unique<WorkerLink>(directory.socket(), hello(epoch), lost.callback());
    loop = std::thread([this] { runWorkerLoop(engine, *worker); });
    internal::WorkerMessage ready;
    ready.mutable_ready()->set_context(99);
    worker->send(ready);
    ASSERT_EQ(ears.next().ready().context(), 99); // and then the session stands
    ASSERT_EQ(ears.epoch(), epoch);
  }
  void TearDown() override {
    internal::FrontendMessage stop;
    stop.mutable_stop();
    server.send(stop);
    if (loop.joinable())
      loop.join();
    if (worker)
      worker->close();
    worker.reset();
  }
  void submit(uint64_t id, int64_t maxTokens) {
    Request request{id, {5, 6}, {}};
    request.sampling.maxTokens = maxTokens;
    internal::FrontendMessage message;
    *message.mutable_submit() = toProto(request);
    ASSERT_TRUE(server.send(message));
  }

  SocketDirectory directory;
  Ears ears;
  LinkServer server{directory.socket(), ears};
  Lost lost;
  ScriptedEngine engine;
  std::unique_ptr<WorkerLink> worker;
  std::thread loop;
};

TEST_F(LinkTest, SocketIsPrivate) {
  struct stat socket{}, folder{};
  ASSERT_EQ(stat(directory.socket().c_str(), &socket), 0);
  ASSERT_EQ(stat(directory.socket().substr(0, directory.socket().rfind('/')).c_str(), &folder), 0);
  EXPECT_EQ(socket.st_mode & 0777, 0600u);
  EXPECT_EQ(folder.st_mode & 0777, 0700u);
}

TEST_F(LinkTest, ARequestsEventsComeInOrderToItsLast) {
  attach();
  submit(3, 5);
  for (int32_t token = 1; token <= 5; ++token) {
    internal::WorkerMessage message = ears.next();
    ASSERT_EQ(message.events().events_size(), 1);
    Event event = fromProto(message.events().events(0));
    ASSERT_EQ(event.request, 3u);
    ASSERT_EQ(event.tokens.size(), 1u);
    EXPECT_EQ(event.tokens[0].token, token);
    EXPECT_EQ(event.tokens[0].logprob, -0.5f * static_cast<float>(token));
    ASSERT_EQ(event.tokens[0].best.size(), 2u);
    EXPECT_EQ(event.tokens[0].best[1].token, 9);
    EXPECT_EQ(event.stop, token == 5 ? StopReason::MaxTokens : StopReason::None);
  }
}

TEST_F(LinkTest, CancelEndsARequestThatWouldGoOnForLong) {
  attach();
  submit(4, 1'000'000);
  ASSERT_EQ(ears.next().events().events(0).request(), 4u);
  internal::FrontendMessage cancel;
  cancel.mutable_cancel()->set_request(4);
  ASSERT_TRUE(server.send(cancel));
  for (int i = 0; i < 10'000; ++i) {
    internal::WorkerMessage message = ears.next();
    ASSERT_EQ(message.events().events_size(), 1);
    if (fromProto(message.events().events(0)).stop == StopReason::Cancelled)
      return;
  }
  FAIL() << "the request went on";
}

TEST_F(LinkTest, WhatTheEngineRefusesComesBackWithItsReason) {
  attach();
  internal::FrontendMessage message;
  message.mutable_submit()->set_request(8);
  ASSERT_TRUE(server.send(message));
  internal::WorkerMessage answer = ears.next();
  EXPECT_EQ(answer.rejected().request(), 8u);
  EXPECT_EQ(answer.rejected().reason(), "prompt is empty");
}

TEST_F(LinkTest, EvaluateStreamsRowsAndThenDone) {
  attach();
  internal::FrontendMessage message;
  message.mutable_evaluate()->set_request(5);
  message.mutable_evaluate()->add_tokens(2);
  message.mutable_evaluate()->add_tokens(3);
  message.mutable_evaluate()->set_chunk(1);
  ASSERT_TRUE(server.send(message));
  for (int position : {0, 1}) {
    internal::WorkerMessage row = ears.next();
    EXPECT_EQ(row.evaluate_row().position(), position);
    ASSERT_EQ(row.evaluate_row().logits().size(), 4 * sizeof(float));
    float first;
    std::memcpy(&first, row.evaluate_row().logits().data(), sizeof first);
    EXPECT_EQ(first, static_cast<float>(2 + position));
  }
  internal::WorkerMessage done = ears.next();
  EXPECT_EQ(done.done().request(), 5u);
  EXPECT_EQ(done.done().error(), "");

  message.mutable_evaluate()->set_chunk(0);
  ASSERT_TRUE(server.send(message));
  EXPECT_EQ(ears.next().done().error(), "chunk must be at least 1, not 0");
}

TEST_F(LinkTest, BenchGivesAFigurePerRepetition) {
  attach();
  internal::FrontendMessage message;
  message.mutable_bench()->set_request(6);
  message.mutable_bench()->set_prompt(4);
  message.mutable_bench()->set_tokens(5);
  message.mutable_bench()->set_parallel(3);
  message.mutable_bench()->set_profile(true);
  message.mutable_bench()->set_repeat(2);
  ASSERT_TRUE(server.send(message));
  internal::WorkerMessage result = ears.next();
  ASSERT_EQ(result.bench_result().prefill_tokens_per_second_size(), 2);
  ASSERT_EQ(result.bench_result().decode_tokens_per_second_size(), 2);
  // A step of the scripted engine sleeps for 1 ms: 3 requests make at most 3000 tokens a second, a prompt of 4 reads at 4000.
  for (const auto *kernels : {&result.bench_result().prefill_kernels(), &result.bench_result().decode_kernels()}) {
    ASSERT_EQ(kernels->size(), 1);
    KernelTime kernel = fromProto((*kernels)[0]);
    EXPECT_EQ(kernel.name, "step.output");
    EXPECT_EQ(kernel.calls, 3);
    EXPECT_EQ(std::vector({kernel.seconds, kernel.waiting, kernel.gathering, kernel.bytes, kernel.integerOperations,
                           kernel.floatOperations}),
              std::vector({0.5, 0.25, 0.125, 1e9, 2e9, 3e9}));
  }
  EXPECT_GT(result.bench_result().decode_tokens_per_second(0), 0);
  EXPECT_LE(result.bench_result().decode_tokens_per_second(0), 3000);
  EXPECT_LE(result.bench_result().prefill_tokens_per_second(1), 4000);
  EXPECT_EQ(ears.next().done().error(), "");
}

TEST_F(LinkTest, StaleEpochsAndOtherPlansAreRefused) {
  server.expect(2);
  Lost stale, stranger;
  WorkerLink old(directory.socket(), hello(1), stale.callback());
  EXPECT_EQ(stale.wait(), "epoch 1 is over, the frontend waits for epoch 2");
  WorkerLink other(directory.socket(), hello(2, "bad"), stranger.callback());
  EXPECT_EQ(stranger.wait(), "another plan");
  internal::FrontendMessage message;
  message.mutable_cancel();
  EXPECT_FALSE(server.send(message)) << "nobody was taken";
}

TEST_F(LinkTest, ASecondRank0OfAnEpochIsRefused) {
  attach(3);
  Lost second;
  WorkerLink other(directory.socket(), hello(3), second.callback());
  EXPECT_EQ(second.wait(), "epoch 3 has a rank 0 already");
}

TEST_F(LinkTest, BothEndsNoticeTheLoss) {
  attach();
  server.drop();
  EXPECT_EQ(lost.wait().rfind("lost the frontend", 0), 0u) << lost.wait();
  loop.join(); // an idle worker wakes up and ends

  server.expect(8);
  Lost second;
  {
    WorkerLink short_lived(directory.socket(), hello(8), second.callback());
    internal::WorkerMessage ready;
    ready.mutable_ready();
    short_lived.send(ready);
    ASSERT_TRUE(ears.next().has_ready());
  } // closes in order
  EXPECT_TRUE(ears.waitLost());
  EXPECT_TRUE(second.reasons.empty());
}

TEST_F(LinkTest, HeartbeatsTellWhetherAStepComputes) {
  server.expect(7);
  std::atomic<uint64_t> kernels = 40;
  WorkerLink link(directory.socket(), hello(7), lost.callback(), [&] { return kernels.load(); });
  link.stepBegins();
  auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < 900ms)
    ; // a step that computes
  internal::WorkerHeartbeat computed = ears.nextHeartbeat();
  kernels = 41;
  internal::WorkerHeartbeat slept = ears.nextHeartbeat(); // this thread waited for it
  EXPECT_TRUE(computed.busy() && slept.busy());
  EXPECT_GT(computed.cpu_nanoseconds(), 50'000'000) << "of 900 ms, on a crowded machine";
  EXPECT_LT(slept.cpu_nanoseconds() - computed.cpu_nanoseconds(), 50'000'000);
  EXPECT_EQ(computed.progress(), 40u);
  EXPECT_EQ(slept.progress(), 41u);
  link.stepEnds();
}

TEST_F(LinkTest, AnIdleWorkerSendsHeartbeats) {
  attach();
  auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(ears.waitHeartbeats(2));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 900ms) << "more often than needed";
}

} // namespace
