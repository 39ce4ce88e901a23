//===- Admission.h - from a request of the API to one of the engine -------------------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "services/frontend/ServedModel.h"
#include <atomic>
#include <grpcpp/support/status.h>
#include <heddle/v1/inference.pb.h>
#include <variant>

namespace heddle {

/// Checks every field and makes tokens of the input. Any thread. Refuses with INVALID_ARGUMENT, the message beginning with
/// the field, or NOT_FOUND for another model.
class Admission {
public:
  Admission(const ServedModel &model, int64_t context) : model_(model), context_(context) {}

  /// The request's id is left 0; its seed is always set.
  std::variant<Request, grpc::Status> admit(const v1::GenerateRequest &request) const;
  std::variant<std::vector<int32_t>, grpc::Status> tokenize(const v1::TokenizeRequest &request) const;
  grpc::Status checkModel(const std::string &name) const;
  int64_t context() const { return context_; }
  /// The engine's, once it is known: little KV memory may leave less than was asked for.
  void setContext(int64_t context) { context_ = context; }

private:
  const ServedModel &model_;
  std::atomic<int64_t> context_;
};

/// The sampling fields that are set, over the defaults. Ranges are not checked.
SamplingParams fromProto(const v1::Sampling &sampling);

} // namespace heddle
