//===- Client.h - calls of the API for tests ------------------------------------------------------------------------===//
#pragma once
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpcpp/grpcpp.h>
#include <heddle/v1/inference.grpc.pb.h>

namespace heddle::test {

struct Answer {
  grpc::Status status;
  std::string text;
  std::vector<v1::Token> tokens;
  v1::Finish finish;
  std::vector<int32_t> ids() const {
    std::vector<int32_t> out;
    for (const v1::Token &token : tokens)
      out.push_back(token.id());
    return out;
  }
};

inline v1::GenerateRequest promptFor(const std::string &text, int64_t maxTokens) {
  v1::GenerateRequest request;
  request.set_prompt(text);
  request.mutable_sampling()->set_max_tokens(maxTokens);
  return request;
}

/// One channel to a server.
class Client {
public:
  explicit Client(const std::string &address, const grpc::ChannelArguments &arguments = {})
      : channel(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)),
        stub(v1::Inference::NewStub(channel)), health(grpc::health::v1::Health::NewStub(channel)) {}

  /// Runs to the end; `context` may carry a deadline or be cancelled from elsewhere.
  Answer generate(const v1::GenerateRequest &request, grpc::ClientContext *context = nullptr,
                  const std::function<void()> &afterFirst = {}) {
    grpc::ClientContext own;
    auto stream = stub->Generate(context ? context : &own, request);
    Answer answer;
    bool first = true;
    for (v1::GenerateResponse response; stream->Read(&response);) {
      answer.text += response.text();
      answer.tokens.insert(answer.tokens.end(), response.tokens().begin(), response.tokens().end());
      if (response.has_finish())
        answer.finish = response.finish();
      if (std::exchange(first, false) && afterFirst)
        afterFirst();
    }
    answer.status = stream->Finish();
    return answer;
  }

  grpc::health::v1::HealthCheckResponse::ServingStatus check(const std::string &service = "") {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::health::v1::HealthCheckResponse response;
    grpc::Status status = health->Check(&context, request, &response);
    return status.ok() ? response.status() : grpc::health::v1::HealthCheckResponse::UNKNOWN;
  }
  bool serving() { return check() == grpc::health::v1::HealthCheckResponse::SERVING; }

  v1::GetModelResponse model() {
    grpc::ClientContext context;
    v1::GetModelResponse response;
    stub->GetModel(&context, {}, &response);
    return response;
  }

  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Inference::Stub> stub;
  std::unique_ptr<grpc::health::v1::Health::Stub> health;
};

} // namespace heddle::test
