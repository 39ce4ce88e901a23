//===- GenerateCall.cpp --------------------------------------------------------------------------------------------===//
#include "services/grpc/GenerateCall.h"
#include "services/frontend/TokenText.h"
#include "services/grpc/Wire.h"
#include <heddle/internal/engine_link.pb.h>

namespace heddle {
namespace {

v1::StopReason toProto(StopReason reason) {
  switch (reason) {
  case StopReason::MaxTokens:
    return v1::STOP_REASON_MAX_TOKENS;
  case StopReason::EndOfText:
    return v1::STOP_REASON_END_OF_TEXT;
  case StopReason::StopString:
    return v1::STOP_REASON_STOP_STRING;
  case StopReason::ContextFull:
    return v1::STOP_REASON_CONTEXT_FULL;
  default:
    return v1::STOP_REASON_UNSPECIFIED;
  }
}

/// Sets id, text and, where the text cannot say them, bytes of a Token or an Alternative.
template <typename Message> void setToken(Message &to, const Tokenizer &tokenizer, int32_t id) {
  TokenText text = tokenText(tokenizer, id);
  to.set_id(id);
  to.set_text(std::move(text.text));
  to.set_bytes(std::move(text.bytes));
}

v1::GenerateResponse toProto(const Event &event, const Tokenizer &tokenizer, bool withLogprobs) {
  v1::GenerateResponse out;
  out.set_text(event.text);
  for (const TokenResult &token : event.tokens) {
    v1::Token &to = *out.add_tokens();
    setToken(to, tokenizer, token.token);
    if (!withLogprobs)
      continue;
    to.set_logprob(token.logprob);
    for (const Alternative &best : token.best) {
      v1::Alternative &alternative = *to.add_alternatives();
      setToken(alternative, tokenizer, best.token);
      alternative.set_logprob(best.logprob);
    }
  }
  if (event.stop != StopReason::None) {
    v1::Finish &finish = *out.mutable_finish();
    finish.set_reason(toProto(event.stop));
    finish.set_stop_string(event.stopString);
    finish.mutable_usage()->set_prompt_tokens(event.promptTokens);
    finish.mutable_usage()->set_output_tokens(event.outputTokens);
    finish.mutable_usage()->set_cached_tokens(event.cachedTokens);
    finish.set_seed(event.seed);
  }
  return out;
}

/// RESOURCE_EXHAUSTED with google.rpc.RetryInfo, which clients' retry policies read.
grpc::Status queueFull(const std::string &message) {
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

} // namespace

GenerateCall *GenerateCall::start(grpc::CallbackServerContext &context, const grpc::ByteBuffer &request, const ServedModel &model,
                                  const Admission &admission, Dispatcher &dispatcher) {
  std::shared_ptr<GenerateCall> call(new GenerateCall(context, model, dispatcher));
  call->self_ = call;
  call->run(request, admission);
  return call.get(); // gRPC calls OnDone only after it has this
}

void GenerateCall::run(const grpc::ByteBuffer &bytes, const Admission &admission) {
  v1::GenerateRequest message;
  if (grpc::Status status = parse(bytes, message); !status.ok())
    return end(status);
  std::variant<Request, grpc::Status> admitted = admission.admit(message);
  if (const grpc::Status *status = std::get_if<grpc::Status>(&admitted))
    return end(*status);
  Request &request = std::get<Request>(admitted);
  withLogprobs_ = request.sampling.logprobs > 0;
  std::variant<uint64_t, Refusal> submitted = dispatcher_.submit(std::move(request), self_);
  if (const Refusal *refusal = std::get_if<Refusal>(&submitted))
    return end(refusal->kind == Refusal::Kind::QueueFull ? queueFull(refusal->message)
                                                         : grpc::Status(grpc::StatusCode::UNAVAILABLE, refusal->message));
  bool cancelled;
  {
    std::lock_guard lock(mutex_);
    request_ = std::get<uint64_t>(submitted);
    cancelled = cancelled_;
  }
  if (cancelled)
    dispatcher_.cancel(request_);
}

void GenerateCall::onEvent(const Event &event) {
  grpc::ByteBuffer message = serialize(toProto(event, *tokenizer_, withLogprobs_));
  std::lock_guard lock(mutex_);
  if (status_)
    return;
  if (event.stop == StopReason::Error)
    return endLocked({grpc::StatusCode::INTERNAL, event.error});
  if (event.stop == StopReason::Cancelled)
    return endLocked({grpc::StatusCode::CANCELLED, "the request was cancelled"});
  outgoing_.push_back(std::move(message));
  if (outgoing_.size() == 1)
    StartWrite(&outgoing_.front());
  if (event.stop != StopReason::None)
    endLocked(grpc::Status::OK);
}

void GenerateCall::onRejected(const std::string &reason) { end({grpc::StatusCode::INVALID_ARGUMENT, reason}); }

void GenerateCall::onLost(const std::string &reason) { end({grpc::StatusCode::UNAVAILABLE, reason}); }

void GenerateCall::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  outgoing_.pop_front();
  if (!ok)
    outgoing_.clear(); // the client is gone; OnCancel ends the call
  if (!outgoing_.empty())
    StartWrite(&outgoing_.front());
  else if (status_)
    Finish(*status_);
}

void GenerateCall::OnCancel() {
  uint64_t request;
  {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
    request = request_;
    bool late = context_.deadline() <= std::chrono::system_clock::now();
    endLocked(late ? grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "the call's deadline passed")
                   : grpc::Status(grpc::StatusCode::CANCELLED, "the client left"));
  }
  if (request)
    dispatcher_.cancel(request);
}

void GenerateCall::end(const grpc::Status &status) {
  std::lock_guard lock(mutex_);
  endLocked(status);
}

void GenerateCall::endLocked(const grpc::Status &status) {
  if (status_)
    return;
  status_ = status;
  if (outgoing_.empty())
    Finish(*status_);
}

} // namespace heddle
