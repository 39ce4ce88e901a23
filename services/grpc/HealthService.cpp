//===- HealthService.cpp -------------------------------------------------------------------------------------------===//
#include "services/grpc/HealthService.h"
#include <grpcpp/grpcpp.h>
#include <optional>

namespace heddle {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using Status = HealthCheckResponse::ServingStatus;

/// One Watch stream. A client that reads slowly sees the newest state, not every one.
class HealthService::Watcher final : public grpc::ServerWriteReactor<HealthCheckResponse> {
public:
  Watcher(HealthService &service, bool known) : service_(service), known_(known) {}

  void start(std::shared_ptr<Watcher> self) { self_ = std::move(self); }
  bool known() const { return known_; }

  void show(Status status) {
    std::lock_guard lock(mutex_);
    if (end_ || status == shown_)
      return;
    next_ = status;
    if (!writing_)
      write();
  }

  void end(const grpc::Status &status) {
    std::lock_guard lock(mutex_);
    if (end_)
      return;
    end_ = status;
    if (!writing_)
      Finish(*end_);
  }

private:
  void write() { // with the lock held and next_ set
    shown_ = *next_;
    next_.reset();
    writing_ = true;
    message_.set_status(*shown_);
    StartWrite(&message_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (end_)
      Finish(*end_);
    else if (ok && next_ && next_ != shown_)
      write();
  }

  void OnCancel() override { end(grpc::Status::CANCELLED); }

  void OnDone() override {
    service_.forget(self_);
    self_.reset();
  }

  HealthService &service_;
  const bool known_;
  std::shared_ptr<Watcher> self_;
  std::mutex mutex_;
  bool writing_ = false;
  std::optional<Status> shown_, next_;
  std::optional<grpc::Status> end_;
  HealthCheckResponse message_;
};

grpc::ServerUnaryReactor *HealthService::Check(grpc::CallbackServerContext *context, const HealthCheckRequest *request,
                                               HealthCheckResponse *response) {
  grpc::ServerUnaryReactor *reactor = context->DefaultReactor();
  if (!services_.contains(request->service())) {
    reactor->Finish({grpc::StatusCode::NOT_FOUND, "no service '" + request->service() + "' here"});
    return reactor;
  }
  std::lock_guard lock(mutex_);
  response->set_status(serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse> *HealthService::Watch(grpc::CallbackServerContext *,
                                                                    const HealthCheckRequest *request) {
  auto watcher = std::make_shared<Watcher>(*this, services_.contains(request->service()));
  watcher->start(watcher);
  std::lock_guard lock(mutex_);
  if (down_) {
    watcher->end({grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
    return watcher.get();
  }
  watchers_.insert(watcher);
  watcher->show(!watcher->known() ? HealthCheckResponse::SERVICE_UNKNOWN
                : serving_        ? HealthCheckResponse::SERVING
                                  : HealthCheckResponse::NOT_SERVING);
  return watcher.get();
}

void HealthService::set(bool serving) {
  std::lock_guard lock(mutex_);
  serving_ = serving;
  for (const std::shared_ptr<Watcher> &watcher : watchers_)
    if (watcher->known())
      watcher->show(serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
}

void HealthService::shutDown() {
  std::lock_guard lock(mutex_);
  down_ = true;
  for (const std::shared_ptr<Watcher> &watcher : watchers_)
    watcher->end({grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
}

void HealthService::forget(const std::shared_ptr<Watcher> &watcher) {
  std::lock_guard lock(mutex_);
  watchers_.erase(watcher);
}

} // namespace heddle
