//===- Client.h - calls of the public gRPC API ---------------------------------------------------------------------------===//
#pragma once
#include <functional>
#include <heddle/v1/inference.pb.h>
#include <memory>
#include <stdexcept>
#include <string>

namespace heddle {

/// A call that failed: one line, beginning with the gRPC status.
struct ClientError : std::runtime_error {
  ClientError(const std::string &message, bool invalidArgument) : std::runtime_error(message), invalidArgument(invalidArgument) {}
  bool invalidArgument; // the server would not take the request
};

/// A server of heddle.v1.Inference. One thread. Calls throw ClientError.
class Client {
public:
  /// `timeout`: seconds that a call may take; 0: for ever. Connects with the first call.
  Client(std::string address, double timeout);
  ~Client();

  heddle::v1::GetModelResponse model(const heddle::v1::GetModelRequest &request);
  heddle::v1::TokenizeResponse tokenize(const heddle::v1::TokenizeRequest &request);
  /// Streams an answer: `event` sees each message, and may throw, which ends the call. `cancelled` is asked many times a second;
  /// when it is true the call is cancelled, and the result is false.
  bool generate(const heddle::v1::GenerateRequest &request,
                const std::function<void(const heddle::v1::GenerateResponse &)> &event, const std::function<bool()> &cancelled);

private:
  struct Stub;
  std::unique_ptr<Stub> stub_;
  std::string address_;
  double timeout_;
};

} // namespace heddle
