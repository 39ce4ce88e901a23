//===- RetryLater.cpp ----------------------------------------------------------------------------------------------===//
#include "services/grpc/RetryLater.h"
#include <heddle/internal/engine_link.pb.h>

namespace heddle {

grpc::Status retryLater(const std::string &message) {
  internal::RetryInfoWire retry;
  retry.mutable_retry_delay()->set_seconds(1);
  internal::StatusWire details;
  details.set_code(grpc::StatusCode::RESOURCE_EXHAUSTED);
  details.set_message(message);
  internal::StatusWire::Any &any = *details.add_details();
  any.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  any.set_value(retry.SerializeAsString());
  return {grpc::StatusCode::RESOURCE_EXHAUSTED, message, details.SerializeAsString()};
}

grpc::Status tooManyTexts() { return retryLater("too many large texts wait to be tokenized; retry in 1 s"); }

} // namespace heddle
