//===- HealthService.h - grpc.health.v1.Health ----------------------------------------------------------------------===//
#pragma once
#include <grpc/health/v1/health.grpc.pb.h>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace heddle {

/// Check and Watch for a fixed set of names, all in one state: the worker group's. Any thread may call set().
class HealthService final : public grpc::health::v1::Health::CallbackService {
public:
  /// `services`: the names that are known; the empty one is the server as a whole.
  explicit HealthService(std::set<std::string> services) : services_(std::move(services)) {}

  void set(bool serving);
  /// Ends all watches with UNAVAILABLE and takes no new ones, so that the server can go down.
  void shutDown();

private:
  class Watcher;
  grpc::ServerUnaryReactor *Check(grpc::CallbackServerContext *context, const grpc::health::v1::HealthCheckRequest *request,
                                  grpc::health::v1::HealthCheckResponse *response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse> *
  Watch(grpc::CallbackServerContext *context, const grpc::health::v1::HealthCheckRequest *request) override;
  void forget(const std::shared_ptr<Watcher> &watcher);

  const std::set<std::string> services_;
  std::mutex mutex_; // taken before a watcher's
  bool serving_ = false, down_ = false;
  std::set<std::shared_ptr<Watcher>> watchers_;
};

} // namespace heddle
