//===- RetryLater.h - RESOURCE_EXHAUSTED that says when to come back ------------------------------------------------===//
#pragma once
#include <grpcpp/support/status.h>

namespace heddle {

/// With google.rpc.RetryInfo of one second, which clients' retry policies read.
grpc::Status retryLater(const std::string &message);

/// What TextWorkers refuse.
grpc::Status tooManyTexts();

} // namespace heddle
