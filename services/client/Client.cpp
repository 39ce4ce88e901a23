//===- Client.cpp - calls of the public gRPC API -------------------------------------------------------------------------===//
#include "services/client/Client.h"
#include "services/address/Address.h"
#include <chrono>
#include <cstdlib>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <heddle/v1/inference.grpc.pb.h>

namespace heddle {
namespace {

const char *name(grpc::StatusCode code) {
  switch (code) {
  case grpc::StatusCode::CANCELLED:
    return "CANCELLED";
  case grpc::StatusCode::INVALID_ARGUMENT:
    return "INVALID_ARGUMENT";
  case grpc::StatusCode::DEADLINE_EXCEEDED:
    return "DEADLINE_EXCEEDED";
  case grpc::StatusCode::NOT_FOUND:
    return "NOT_FOUND";
  case grpc::StatusCode::RESOURCE_EXHAUSTED:
    return "RESOURCE_EXHAUSTED";
  case grpc::StatusCode::UNIMPLEMENTED:
    return "UNIMPLEMENTED";
  case grpc::StatusCode::INTERNAL:
    return "INTERNAL";
  case grpc::StatusCode::UNAVAILABLE:
    return "UNAVAILABLE";
  default:
    return "UNKNOWN";
  }
}

} // namespace

struct Client::Stub {
  std::unique_ptr<v1::Inference::Stub> inference;

  static void check(const grpc::Status &status, const std::string &address) {
    if (status.ok())
      return;
    std::string text = std::string(name(status.error_code())) + ": " + status.error_message();
    // A broken connection's message is a page of addresses; its cause is what helps.
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE && text.find("connect") != std::string::npos)
      text = "UNAVAILABLE: no server at " + address + "; start one with heddle serve";
    throw ClientError(text, status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  }
  static void limit(grpc::ClientContext &context, double timeout) {
    if (timeout > 0)
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(static_cast<int64_t>(timeout * 1000)));
  }
};

Client::Client(std::string address, double timeout)
    : stub_(std::make_unique<Stub>()), address_(std::move(address)), timeout_(timeout) {
  if (!std::getenv("GRPC_VERBOSITY")) // gRPC's own lines would stand beside ours
    gpr_set_log_verbosity(static_cast<gpr_log_severity>(GPR_LOG_SEVERITY_ERROR + 1));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0); // a proxy for the web knows no server of ours
  stub_->inference = v1::Inference::NewStub(
      grpc::CreateCustomChannel(parseAddress(address_).target(), grpc::InsecureChannelCredentials(), arguments));
}

Client::~Client() = default;

v1::GetModelResponse Client::model(const v1::GetModelRequest &request) {
  grpc::ClientContext context;
  Stub::limit(context, timeout_);
  v1::GetModelResponse response;
  Stub::check(stub_->inference->GetModel(&context, request, &response), address_);
  return response;
}

v1::TokenizeResponse Client::tokenize(const v1::TokenizeRequest &request) {
  grpc::ClientContext context;
  Stub::limit(context, timeout_);
  v1::TokenizeResponse response;
  Stub::check(stub_->inference->Tokenize(&context, request, &response), address_);
  return response;
}

bool Client::generate(const v1::GenerateRequest &request, const std::function<void(const v1::GenerateResponse &)> &event,
                      const std::function<bool()> &cancelled) {
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  Stub::limit(context, timeout_);
  bool wanted = true;
  /// Waits for the one operation under way; false: it did not work.
  auto wait = [&] {
    for (;;) {
      if (wanted && cancelled()) {
        wanted = false;
        context.TryCancel();
      }
      void *tag;
      bool ok = false;
      auto soon = std::chrono::system_clock::now() + std::chrono::milliseconds(30);
      if (queue.AsyncNext(&tag, &ok, soon) == grpc::CompletionQueue::GOT_EVENT)
        return ok;
    }
  };
  struct Drain { // the queue must be empty when it goes, also when `event` throws
    grpc::CompletionQueue &queue;
    grpc::ClientContext &context;
    ~Drain() {
      context.TryCancel();
      queue.Shutdown();
      void *tag;
      bool ok;
      while (queue.Next(&tag, &ok)) {
      }
    }
  };
  v1::GenerateResponse response; // outlives what is pending
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncReader<v1::GenerateResponse>> stream;
  Drain drain{queue, context};
  stream = stub_->inference->AsyncGenerate(&context, request, &queue, &status);
  for (bool more = wait(); more;) {
    stream->Read(&response, &status);
    more = wait();
    if (more && wanted)
      event(response);
  }
  stream->Finish(&status, &status);
  wait();
  if (wanted)
    Stub::check(status, address_);
  return wanted;
}

} // namespace heddle
