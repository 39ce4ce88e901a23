//===- Dispatcher.cpp ----------------------------------------------------------------------------------------------===//
#include "services/frontend/Dispatcher.h"

namespace heddle {

Dispatcher::Dispatcher(size_t queueLimit, std::function<void(State, const std::string &)> stateChanged)
    : queueLimit_(queueLimit), stateChanged_(std::move(stateChanged)) {}

std::variant<uint64_t, Refusal> Dispatcher::submit(Request request, std::shared_ptr<RequestSink> sink) {
  std::lock_guard lock(mutex_);
  if (state_ == State::Draining)
    return Refusal{Refusal::Kind::Unavailable, "the server is stopping"};
  if (state_ != State::Serving)
    return Refusal{Refusal::Kind::Unavailable, "the worker group is starting; try again in a moment"};
  if (waiting_ >= queueLimit_)
    return Refusal{Refusal::Kind::QueueFull, "the queue is full, " + std::to_string(waiting_) +
                                                 (waiting_ == 1 ? " request waits" : " requests wait") + "; retry in 1 s"};
  request.id = ++lastId_;
  internal::FrontendMessage message;
  *message.mutable_submit() = toProto(request);
  // Under the lock, so that groupLost, which takes the table under it, meets this request either refused or in the table.
  if (!send_(message))
    return Refusal{Refusal::Kind::Unavailable, "the worker group is restarting; try again in a moment"};
  requests_[request.id] = {std::move(sink)};
  ++waiting_;
  return request.id;
}

void Dispatcher::cancel(uint64_t request) {
  std::lock_guard lock(mutex_);
  if (!remove(request))
    return;
  internal::FrontendMessage message;
  message.mutable_cancel()->set_request(request);
  send_(message);
}

Dispatcher::State Dispatcher::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

int64_t Dispatcher::context() const {
  std::lock_guard lock(mutex_);
  return context_;
}

int64_t Dispatcher::threads() const {
  std::lock_guard lock(mutex_);
  return threads_;
}

int64_t Dispatcher::cachedTokens() const {
  std::lock_guard lock(mutex_);
  return cachedTokens_;
}

size_t Dispatcher::active() const {
  std::lock_guard lock(mutex_);
  return requests_.size();
}

void Dispatcher::drain(std::chrono::milliseconds grace) {
  change(State::Draining, "the server is stopping");
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, grace, [this] { return requests_.empty() || hurry_; });
  }
  loseAll("the server is stopping");
}

void Dispatcher::hurry() {
  std::lock_guard lock(mutex_);
  hurry_ = true;
  changed_.notify_all();
}

void Dispatcher::groupReady(uint64_t, const internal::Ready &ready) {
  {
    std::lock_guard lock(mutex_);
    context_ = ready.context();
    cachedTokens_ = ready.cached_tokens();
    threads_ = ready.threads();
  }
  change(State::Serving, {});
}

void Dispatcher::groupLost(const std::string &reason) {
  change(State::Forming, reason);
  loseAll("the worker group ended (" + reason + ") and is restarting");
}

void Dispatcher::groupFailed(const std::string &reason) {
  change(State::Failed, reason);
  loseAll("the worker group ended (" + reason + ")");
}

void Dispatcher::change(State state, const std::string &reason) {
  std::lock_guard notify(notifyMutex_);
  {
    std::lock_guard lock(mutex_);
    // A drain is the end: a group that comes or goes meanwhile changes nothing. Its failure still has to end the drain's wait,
    // which loseAll does.
    if (state_ == state || state_ == State::Draining || state_ == State::Failed)
      return;
    state_ = state;
  }
  stateChanged_(state, reason);
}

void Dispatcher::message(internal::WorkerMessage &&message) {
  if (message.has_rejected())
    return reject(message.rejected());
  for (const internal::Event &event : message.events().events())
    deliver(fromProto(event));
}

void Dispatcher::deliver(const Event &event) {
  std::shared_ptr<RequestSink> sink;
  {
    std::lock_guard lock(mutex_);
    auto found = requests_.find(event.request);
    if (found == requests_.end())
      return; // cancelled
    sink = found->second.sink;
    if (!std::exchange(found->second.started, true))
      --waiting_;
    if (event.stop != StopReason::None)
      remove(event.request);
  }
  sink->onEvent(event);
}

void Dispatcher::reject(const internal::Rejected &rejected) {
  std::shared_ptr<RequestSink> sink;
  {
    std::lock_guard lock(mutex_);
    sink = remove(rejected.request());
  }
  if (sink)
    sink->onRejected(rejected.reason());
}

void Dispatcher::loseAll(const std::string &reason) {
  std::map<uint64_t, InFlight> lost;
  {
    std::lock_guard lock(mutex_);
    lost = std::exchange(requests_, {});
    waiting_ = 0;
    changed_.notify_all();
  }
  for (auto &[id, request] : lost)
    request.sink->onLost(reason);
}

std::shared_ptr<RequestSink> Dispatcher::remove(uint64_t request) {
  auto found = requests_.find(request);
  if (found == requests_.end())
    return nullptr;
  std::shared_ptr<RequestSink> sink = std::move(found->second.sink);
  waiting_ -= !found->second.started;
  requests_.erase(found);
  if (requests_.empty())
    changed_.notify_all();
  return sink;
}

} // namespace heddle
