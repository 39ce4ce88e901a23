//===- Admission.h - from a request of the API to one of the engine -------------------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "services/frontend/ServedModel.h"
#include <atomic>
#include <grpcpp/support/status.h>
#include <heddle/v1/inference.pb.h>
#include <string>
#include <variant>
#include <vector>

namespace heddle {

/// Checks every field and makes tokens of the input. Any thread. Refuses with INVALID_ARGUMENT, the message beginning with
/// the field, or NOT_FOUND for another model.
class Admission {
public:
  /// `otherNames`: what requests may call the model beside its name.
  Admission(const ServedModel &model, int64_t context, std::vector<std::string> otherNames = {})
      : model_(model), otherNames_(std::move(otherNames)), context_(context) {}

  /// All that admit() and tokenize() check before they make tokens: cheap, however large the request.
  grpc::Status check(const v1::GenerateRequest &request) const;
  grpc::Status check(const v1::TokenizeRequest &request) const;
  /// The request's id is left 0; its seed is always set.
  std::variant<Request, grpc::Status> admit(const v1::GenerateRequest &request) const;
  std::variant<std::vector<int32_t>, grpc::Status> tokenize(const v1::TokenizeRequest &request) const;
  grpc::Status checkModel(const std::string &name) const;
  const std::vector<std::string> &otherNames() const { return otherNames_; }
  int64_t context() const { return context_; }
  /// The engine's, once it is known: little KV memory may leave less than was asked for.
  void setContext(int64_t context) { context_ = context; }

private:
  std::variant<std::vector<int32_t>, grpc::Status> inputTokens(const v1::GenerateRequest &request) const;
  grpc::Status checkChat(const v1::Chat &chat) const;

  const ServedModel &model_;
  const std::vector<std::string> otherNames_;
  std::atomic<int64_t> context_;
};

/// The sampling fields that are set, over `defaults`. Ranges are not checked.
SamplingParams fromProto(const v1::Sampling &sampling, SamplingParams defaults = {});

} // namespace heddle
