//===- GenerateCall.cpp --------------------------------------------------------------------------------------------===//
#include "services/grpc/GenerateCall.h"
#include "services/frontend/Log.h"
#include "services/frontend/TokenText.h"
#include "services/grpc/RetryLater.h"
#include "services/grpc/Wire.h"

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

} // namespace

GenerateCall *GenerateCall::start(grpc::CallbackServerContext &context, const grpc::ByteBuffer &request, const ServedModel &model,
                                  const Admission &admission, TextWorkers &texts, Dispatcher &dispatcher) {
  std::shared_ptr<GenerateCall> call(new GenerateCall(context, model, dispatcher));
  call->self_ = call;
  call->run(request, admission, texts);
  return call.get(); // gRPC calls OnDone only after it has this
}

void GenerateCall::run(const grpc::ByteBuffer &bytes, const Admission &admission, TextWorkers &texts) {
  auto message = std::make_shared<v1::GenerateRequest>();
  if (grpc::Status status = parse(bytes, *message); !status.ok())
    return end(status);
  if (bytes.Length() <= kSmallRequest || message->has_tokens())
    return submit(admission.admit(*message));
  if (grpc::Status status = admission.check(*message); !status.ok())
    return end(status);
  bool taken = texts.submit(bytes.Length(), [call = self_, message, &admission](bool stopped) {
    if (stopped)
      call->end({grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
    else if (!call->over()) // else the client has left
      call->submit(admission.admit(*message));
  });
  if (!taken)
    end(tooManyTexts());
}

void GenerateCall::submit(std::variant<Request, grpc::Status> &&admitted) {
  if (const grpc::Status *status = std::get_if<grpc::Status>(&admitted))
    return end(*status);
  Request &request = std::get<Request>(admitted);
  withLogprobs_ = request.sampling.logprobs > 0;
  size_t tokens = request.prompt.size();
  std::variant<uint64_t, Refusal> submitted = dispatcher_.submit(std::move(request), self_);
  if (const Refusal *refusal = std::get_if<Refusal>(&submitted))
    return end(refusal->kind == Refusal::Kind::QueueFull ? retryLater(refusal->message)
                                                         : grpc::Status(grpc::StatusCode::UNAVAILABLE, refusal->message));
  uint64_t id = std::get<uint64_t>(submitted);
  if (logs(LogLevel::Debug))
    log(LogLevel::Debug, "request " + std::to_string(id) + ": prompt of " + std::to_string(tokens) + " tokens");
  bool cancelled;
  {
    std::lock_guard lock(mutex_);
    request_ = id;
    cancelled = cancelled_;
  }
  if (cancelled)
    dispatcher_.cancel(id);
}

bool GenerateCall::over() {
  std::lock_guard lock(mutex_);
  return status_.has_value();
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
  if (logs(LogLevel::Debug))
    log(LogLevel::Debug,
        "request " + std::to_string(request_) + " ended" + (status.ok() ? std::string() : ": " + status.error_message()));
  if (outgoing_.empty())
    Finish(*status_);
}

} // namespace heddle
