//===- PublicServer.h - the public gRPC endpoint --------------------------------------------------------------------===//
#pragma once
#include "services/grpc/HealthService.h"
#include "services/grpc/InferenceService.h"
#include <chrono>
#include <memory>
#include <string>

namespace heddle {

struct EndpointOptions {
  std::string address; // as services/address/Address.h takes it; port 0 takes a free one
  int64_t context = 0; // tokens of a request: how large a message may be
  /// A client that has sent nothing for so long is asked whether it is there; one that does not answer within half of that is
  /// gone, and its requests with it.
  std::chrono::milliseconds keepAlive{60000};
};

/// Inference, health and reflection on one address. Listens from construction to shutDown() or destruction. Clients may send
/// keep-alive pings as often as they like.
class PublicServer {
public:
  /// Throws std::runtime_error, one line, when it cannot listen there.
  PublicServer(const EndpointOptions &options, InferenceService &inference, HealthService &health);
  ~PublicServer();

  /// What a client on this host can dial.
  const std::string &address() const { return address_; }
  /// Whether it listens on all interfaces: then other hosts can dial this host's name and the address's port.
  bool everywhere() const { return everywhere_; }
  /// Ends health watches, lets other calls end for a moment and then cuts them off. Idempotent.
  void shutDown();

private:
  std::string address_;
  bool everywhere_ = false;
  HealthService &health_;
  std::unique_ptr<grpc::Server> server_;
};

} // namespace heddle
