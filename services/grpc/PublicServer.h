//===- PublicServer.h - the public gRPC endpoint --------------------------------------------------------------------===//
#pragma once
#include "services/grpc/HealthService.h"
#include "services/grpc/InferenceService.h"
#include <memory>
#include <string>

namespace heddle {

/// Inference, health and reflection on one address. Listens from construction to shutDown() or destruction.
class PublicServer {
public:
  /// `address` is host:port; port 0 takes a free one. Throws std::runtime_error when it cannot listen there.
  PublicServer(const std::string &address, InferenceService &inference, HealthService &health);
  ~PublicServer();

  /// host:port with the port that was taken.
  const std::string &address() const { return address_; }
  /// Ends health watches, lets other calls end for a moment and then cuts them off. Idempotent.
  void shutDown();

private:
  std::string address_;
  HealthService &health_;
  std::unique_ptr<grpc::Server> server_;
};

} // namespace heddle
