//===- GroupSession.cpp --------------------------------------------------------------------------------------------===//
#include "services/frontend/GroupSession.h"
#include "services/frontend/Supervisor.h"
#include "services/link/Messages.h"
#include <cstring>
#include <deque>
#include <optional>

namespace heddle {

/// Turns the supervisor's callbacks into a queue that the session's thread reads.
class GroupSession::Impl final : public Supervisor::Observer {
public:
  Impl(const GroupOptions &options, const std::string &planKey)
      : supervisor_(std::make_unique<Supervisor>(options, planKey, /*relaunch=*/false, *this)) {
    supervisor_->start();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return context_ > 0 || !failure_.empty(); });
    if (!failure_.empty())
      fail();
  }

  ~Impl() override { supervisor_->stop(/*inOrder=*/!busy_); }

  int64_t context() const { return context_; }
  int64_t threads() const { return threads_; }
  int64_t callSequences() const { return callSequences_; }

  void send(const internal::FrontendMessage &message) {
    if (!supervisor_->send(message)) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !failure_.empty(); }); // the supervisor is finding out why
      fail();
    }
  }

  /// The next message of the group. Rows are large, so the reader may be far behind: the queue is the eval's output, at most.
  internal::WorkerMessage next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !queue_.empty() || !failure_.empty(); });
    if (queue_.empty())
      fail();
    internal::WorkerMessage message = std::move(queue_.front());
    queue_.pop_front();
    return message;
  }

  /// Waits a moment for a message; null when none came.
  std::optional<internal::WorkerMessage> nextSoon() {
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_for(lock, std::chrono::milliseconds(100), [this] { return !queue_.empty() || !failure_.empty(); }))
        return std::nullopt;
    }
    return next();
  }

  uint64_t newId() { return ++lastId_; }
  /// May the group be at work for a request that nobody waits for any more?
  void setBusy(bool busy) { busy_ = busy; }

private:
  [[noreturn]] void fail() const { throw GroupError(failure_); }

  void groupReady(uint64_t, const internal::Ready &ready) override {
    std::lock_guard lock(mutex_);
    context_ = std::max<int64_t>(ready.context(), 1);
    threads_ = ready.threads();
    callSequences_ = std::max<int64_t>(ready.call_sequences(), 1);
    changed_.notify_all();
  }
  void groupLost(const std::string &) override {} // only with relaunch
  void groupFailed(const std::string &reason) override {
    std::lock_guard lock(mutex_);
    failure_ = "the worker group ended: " + reason;
    changed_.notify_all();
  }
  void message(internal::WorkerMessage &&message) override {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(message));
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t context_ = 0, threads_ = 0, callSequences_ = 0;
  std::string failure_;
  std::deque<internal::WorkerMessage> queue_;
  uint64_t lastId_ = 0;
  bool busy_ = false;
  std::unique_ptr<Supervisor> supervisor_;
};

GroupSession::GroupSession(const GroupOptions &options, const std::string &planKey)
    : impl_(std::make_unique<Impl>(options, planKey)) {}

GroupSession::~GroupSession() = default;

int64_t GroupSession::context() const { return impl_->context(); }

int64_t GroupSession::threads() const { return impl_->threads(); }

int64_t GroupSession::callSequences() const { return impl_->callSequences(); }

void GroupSession::generate(const Request &request, const std::function<bool(const Event &)> &event,
                            const std::function<bool()> &cancelled) {
  Request own = request;
  own.id = impl_->newId();
  internal::FrontendMessage submit;
  *submit.mutable_submit() = toProto(own);
  impl_->send(submit);
  impl_->setBusy(true); // also when `event` throws
  Event last;           // what a cancelled request has reached
  last.promptTokens = static_cast<int64_t>(request.prompt.size());
  last.seed = request.sampling.seed.value_or(0);
  for (;;) {
    std::optional<internal::WorkerMessage> message = impl_->nextSoon();
    bool more = !cancelled || !cancelled();
    if (message && message->has_rejected() && message->rejected().request() == own.id) {
      impl_->setBusy(false);
      throw std::invalid_argument(message->rejected().reason());
    }
    for (int i = 0; more && message && i < message->events().events_size(); ++i) {
      const internal::Event &one = message->events().events(i);
      if (one.request() != own.id)
        continue; // of a request that was cancelled
      Event got = fromProto(one);
      got.request = request.id;
      more = event(got);
      if (got.stop != StopReason::None)
        return impl_->setBusy(false);
      last.promptTokens = got.promptTokens, last.outputTokens = got.outputTokens, last.seed = got.seed;
    }
    if (more)
      continue;
    internal::FrontendMessage cancel;
    cancel.mutable_cancel()->set_request(own.id);
    impl_->send(cancel);
    last.request = request.id;
    last.stop = StopReason::Cancelled;
    event(last);
    return;
  }
}

void GroupSession::evaluate(const std::vector<int32_t> &tokens, int64_t chunk,
                            const std::function<void(int64_t, const float *)> &row) {
  uint64_t id = impl_->newId();
  internal::FrontendMessage request;
  request.mutable_evaluate()->set_request(id);
  request.mutable_evaluate()->mutable_tokens()->Add(tokens.begin(), tokens.end());
  request.mutable_evaluate()->set_chunk(chunk);
  impl_->send(request);
  std::vector<float> logits; // of aligned memory, which a message's bytes are not
  for (;;) {
    internal::WorkerMessage message = impl_->next();
    if (message.has_evaluate_row() && message.evaluate_row().request() == id) {
      const std::string &bytes = message.evaluate_row().logits();
      logits.resize(bytes.size() / sizeof(float));
      std::memcpy(logits.data(), bytes.data(), logits.size() * sizeof(float));
      row(message.evaluate_row().position(), logits.data());
    } else if (message.has_done() && message.done().request() == id) {
      if (!message.done().error().empty())
        throw std::invalid_argument(message.done().error());
      return;
    }
  }
}

std::vector<EntryRows> GroupSession::call(const EntryCall &call) {
  uint64_t id = impl_->newId();
  internal::FrontendMessage request;
  *request.mutable_call() = toProto(call);
  request.mutable_call()->set_request(id);
  impl_->send(request);
  std::vector<EntryRows> all;
  for (;;) {
    internal::WorkerMessage message = impl_->next();
    if (message.has_call_result() && message.call_result().request() == id) {
      for (const internal::CallResult::Output &output : message.call_result().outputs()) {
        EntryRows &rows = all.emplace_back();
        rows.rows = output.rows(), rows.columns = output.columns();
        rows.values.resize(output.values().size() / sizeof(float));
        std::memcpy(rows.values.data(), output.values().data(), rows.values.size() * sizeof(float));
      }
    } else if (message.has_done() && message.done().request() == id) {
      if (!message.done().error().empty())
        throw std::invalid_argument(message.done().error());
      return all;
    }
  }
}

BenchFigures GroupSession::bench(const BenchOptions &options) {
  uint64_t id = impl_->newId();
  internal::FrontendMessage request;
  internal::Bench &bench = *request.mutable_bench();
  bench.set_request(id);
  bench.set_prompt(options.prompt);
  bench.set_tokens(options.tokens);
  bench.set_parallel(options.parallel);
  bench.set_repeat(options.repeat);
  bench.set_depth(options.depth);
  bench.set_profile(options.profile);
  bench.set_token_budget(options.tokenBudget);
  impl_->send(request);
  BenchFigures figures;
  for (;;) {
    internal::WorkerMessage message = impl_->next();
    if (message.has_bench_result() && message.bench_result().request() == id) {
      const internal::BenchResult &result = message.bench_result();
      figures.prefillTokensPerSecond.assign(result.prefill_tokens_per_second().begin(), result.prefill_tokens_per_second().end());
      figures.decodeTokensPerSecond.assign(result.decode_tokens_per_second().begin(), result.decode_tokens_per_second().end());
      for (const internal::KernelTime &kernel : result.prefill_kernels())
        figures.prefillKernels.push_back(fromProto(kernel));
      for (const internal::KernelTime &kernel : result.decode_kernels())
        figures.decodeKernels.push_back(fromProto(kernel));
    } else if (message.has_done() && message.done().request() == id) {
      if (!message.done().error().empty())
        throw std::invalid_argument(message.done().error());
      return figures;
    }
  }
}

} // namespace heddle
