//===- Dispatcher.h - requests in flight, between the services and the worker group ---------------------------------===//
#pragma once
#include "services/frontend/Supervisor.h"
#include "services/link/Messages.h"
#include <map>
#include <memory>
#include <variant>

namespace heddle {

/// Where a request's events go. Called without a lock held, on gRPC's threads one event at a time, or on the supervisor's: onLost
/// may overtake an event that is being handed over, so a sink locks, and ignores what comes after its end.
struct RequestSink {
  virtual ~RequestSink() = default;
  virtual void onEvent(const Event &event) = 0;
  virtual void onRejected(const std::string &reason) = 0; // the engine would not take it
  virtual void onLost(const std::string &reason) = 0;     // its group is gone
};

/// How submit() refuses.
struct Refusal {
  enum class Kind { Unavailable, QueueFull } kind;
  std::string message;
};

/// The table of requests in flight. Any thread may call. A request is either refused, or its sink hears its end.
class Dispatcher final : public Supervisor::Observer {
public:
  enum class State { Forming, Serving, Draining, Failed };
  /// `stateChanged` is called with every new state, one call at a time.
  explicit Dispatcher(size_t queueLimit, std::function<void(State, const std::string &reason)> stateChanged);
  /// Where messages for the group go, Supervisor::send; false: there is no group. Before anything else; called with a lock held.
  using Send = std::function<bool(const internal::FrontendMessage &)>;
  void attach(Send send) { send_ = std::move(send); }

  std::variant<uint64_t, Refusal> submit(Request request, std::shared_ptr<RequestSink> sink);
  /// Forgets the request and frees what the engine holds for it; its sink hears nothing more. Unknown ids are ignored.
  void cancel(uint64_t request);
  State state() const;
  /// Of a request, prompt and output, as the last group said; 0 before the first.
  int64_t context() const;
  int64_t cachedTokens() const; // that the KV cache holds, of all requests together
  int64_t threads() const;      // of a rank, as rank 0 said
  size_t active() const;
  /// Takes no more requests, waits until those in flight have ended or `grace` is over, and then ends the rest by onLost.
  void drain(std::chrono::milliseconds grace);
  /// Ends a drain at once.
  void hurry();

private:
  struct InFlight {
    std::shared_ptr<RequestSink> sink;
    bool started = false; // had an event
  };
  void groupReady(uint64_t epoch, const internal::Ready &ready) override;
  void groupLost(const std::string &reason) override;
  void groupFailed(const std::string &reason) override;
  void message(internal::WorkerMessage &&message) override;
  void change(State state, const std::string &reason);
  void deliver(const Event &event);
  void reject(const internal::Rejected &rejected);
  void loseAll(const std::string &reason);
  std::shared_ptr<RequestSink> remove(uint64_t request); // with the lock held

  const size_t queueLimit_;
  const std::function<void(State, const std::string &)> stateChanged_;
  Send send_;
  mutable std::mutex mutex_;
  std::mutex notifyMutex_; // orders stateChanged_ calls; taken before mutex_
  std::condition_variable changed_;
  State state_ = State::Forming;
  bool hurry_ = false;
  uint64_t lastId_ = 0;
  int64_t context_ = 0, cachedTokens_ = 0, threads_ = 0;
  size_t waiting_ = 0; // requests without an event yet
  std::map<uint64_t, InFlight> requests_;
};

} // namespace heddle
