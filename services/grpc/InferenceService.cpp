//===- InferenceService.cpp - the unary calls; Generate's stream is in GenerateCall.cpp -----------------------------===//
#include "services/grpc/InferenceService.h"
#include "services/frontend/TokenText.h"
#include "services/grpc/GenerateCall.h"
#include "services/grpc/RetryLater.h"
#include "services/grpc/Wire.h"
#include <grpcpp/grpcpp.h>

namespace heddle {
namespace {

// What gRPC's clients take where nobody raised it.
constexpr size_t kMostAnswerBytes = 4 << 20;
// Of an answer, for each token beside its text: id, tag and length.
constexpr size_t kTokenBytes = 8;

v1::GroupState toProto(Dispatcher::State state) {
  switch (state) {
  case Dispatcher::State::Serving:
    return v1::GROUP_STATE_SERVING;
  case Dispatcher::State::Draining:
    return v1::GROUP_STATE_DRAINING;
  default:
    return v1::GROUP_STATE_FORMING;
  }
}

grpc::ServerUnaryReactor *finished(grpc::CallbackServerContext *context, const grpc::Status &status) {
  grpc::ServerUnaryReactor *reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

} // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer> *InferenceService::Generate(grpc::CallbackServerContext *context,
                                                                       const grpc::ByteBuffer *request) {
  return GenerateCall::start(*context, *request, model_, admission_, texts_, dispatcher_);
}

grpc::ServerUnaryReactor *InferenceService::Tokenize(grpc::CallbackServerContext *context, const grpc::ByteBuffer *request,
                                                     grpc::ByteBuffer *response) {
  auto message = std::make_shared<v1::TokenizeRequest>();
  if (grpc::Status status = parse(*request, *message); !status.ok())
    return finished(context, status);
  if (grpc::Status status = admission_.check(*message); !status.ok())
    return finished(context, status);
  return answer(context, request->Length(), [this, message](grpc::ByteBuffer &out) { return tokenize(*message, out); }, response);
}

grpc::ServerUnaryReactor *InferenceService::Detokenize(grpc::CallbackServerContext *context, const grpc::ByteBuffer *request,
                                                       grpc::ByteBuffer *response) {
  auto message = std::make_shared<v1::DetokenizeRequest>();
  if (grpc::Status status = parse(*request, *message); !status.ok())
    return finished(context, status);
  if (grpc::Status status = checkIds(*message); !status.ok())
    return finished(context, status);
  return answer(
      context, request->Length(), [this, message](grpc::ByteBuffer &out) { return detokenize(*message, out); }, response);
}

grpc::ServerUnaryReactor *InferenceService::GetModel(grpc::CallbackServerContext *context, const grpc::ByteBuffer *request,
                                                     grpc::ByteBuffer *response) {
  return finished(context, describe(*request, *response));
}

/// Small requests are answered at once, larger ones by the text workers.
grpc::ServerUnaryReactor *InferenceService::answer(grpc::CallbackServerContext *context, size_t bytes, Answer make,
                                                   grpc::ByteBuffer *response) {
  if (bytes <= kSmallRequest)
    return finished(context, make(*response));
  grpc::ServerUnaryReactor *reactor = context->DefaultReactor();
  bool taken = texts_.submit(bytes, [context, reactor, response, make = std::move(make)](bool stopped) {
    if (stopped)
      reactor->Finish({grpc::StatusCode::UNAVAILABLE, "the server is stopping"});
    else if (context->IsCancelled())
      reactor->Finish(grpc::Status::CANCELLED);
    else
      reactor->Finish(make(*response));
  });
  if (!taken)
    reactor->Finish(tooManyTexts());
  return reactor;
}

grpc::Status InferenceService::tokenize(const v1::TokenizeRequest &request, grpc::ByteBuffer &response) const {
  auto tokens = admission_.tokenize(request);
  if (const grpc::Status *status = std::get_if<grpc::Status>(&tokens))
    return *status;
  const std::vector<int32_t> &ids = std::get<std::vector<int32_t>>(tokens);
  v1::TokenizeResponse out;
  out.mutable_ids()->Add(ids.begin(), ids.end());
  size_t size = 0, fitting = 0; // of the answer so far, and the bytes of the text that fit it
  for (size_t i = 0; i < ids.size() && !request.ids_only(); ++i) {
    TokenText token = tokenText(*model_.tokenizer(), ids[i]);
    size += token.text.size() + kTokenBytes;
    if (size <= kMostAnswerBytes)
      fitting += token.bytes.empty() ? token.text.size() : token.bytes.size();
    out.add_pieces(std::move(token.text));
  }
  if (out.ByteSizeLong() > kMostAnswerBytes)
    return {grpc::StatusCode::INVALID_ARGUMENT,
            std::string(request.has_chat() ? "chat" : "text") + " has " + std::to_string(ids.size()) +
                " tokens, and an answer of " + std::to_string(out.ByteSizeLong()) + " bytes is more than the " +
                std::to_string(kMostAnswerBytes) + " that gRPC's clients take; " +
                (request.ids_only() ? "send it in parts"
                                    : "about the first " + std::to_string(fitting) +
                                          " bytes of it fit: send it in parts, or set ids_only to leave out the pieces")};
  response = serialize(out);
  return grpc::Status::OK;
}

grpc::Status InferenceService::checkIds(const v1::DetokenizeRequest &request) const {
  if (grpc::Status status = admission_.checkModel(request.model()); !status.ok())
    return status;
  int64_t vocabulary = model_.manifest().vocabulary;
  for (int i = 0; i < request.ids_size(); ++i)
    if (request.ids(i) < 0 || request.ids(i) >= vocabulary)
      return {grpc::StatusCode::INVALID_ARGUMENT, "ids[" + std::to_string(i) + "] must be in [0, " + std::to_string(vocabulary) +
                                                      "), not " + std::to_string(request.ids(i))};
  return grpc::Status::OK;
}

grpc::Status InferenceService::detokenize(const v1::DetokenizeRequest &request, grpc::ByteBuffer &response) const {
  v1::DetokenizeResponse out;
  size_t size = 0;
  for (int i = 0; i < request.ids_size(); ++i) {
    std::string piece = tokenText(*model_.tokenizer(), request.ids(i)).text;
    size += 2 * piece.size() + kTokenBytes; // as a piece, and at most as much in the text
    if (size > kMostAnswerBytes)
      return {grpc::StatusCode::INVALID_ARGUMENT,
              "ids has " + std::to_string(request.ids_size()) + " tokens, but only the text of the first " + std::to_string(i) +
                  " fits the " + std::to_string(kMostAnswerBytes) + " bytes that gRPC's clients take; send them in parts"};
    out.add_pieces(std::move(piece));
  }
  out.set_text(
      model_.tokenizer()->decode({request.ids().data(), static_cast<size_t>(request.ids_size())}, request.skip_special()));
  response = serialize(out);
  return grpc::Status::OK;
}

grpc::Status InferenceService::describe(const grpc::ByteBuffer &request, grpc::ByteBuffer &response) const {
  v1::GetModelRequest message;
  if (grpc::Status status = parse(request, message); !status.ok())
    return status;
  if (grpc::Status status = admission_.checkModel(message.model()); !status.ok())
    return status;
  const Manifest &manifest = model_.manifest();
  v1::GetModelResponse out;
  out.set_name(manifest.name);
  out.set_architecture(manifest.architecture);
  out.set_context(admission_.context());
  out.set_model_context(manifest.context);
  out.set_vocabulary(manifest.vocabulary);
  out.set_ranks(ranks_);
  out.set_plan_key(manifest.key);
  out.set_build(manifest.build);
  out.mutable_targets()->Add(manifest.targets.begin(), manifest.targets.end());
  out.set_has_chat_template(model_.hasChatTemplate());
  if (model_.hasChatTemplate()) {
    SamplingParams sampling = model_.chatSampling();
    v1::Sampling &defaults = *out.mutable_default_sampling();
    defaults.set_temperature(sampling.temperature);
    defaults.set_top_k(sampling.topK);
    defaults.set_top_p(sampling.topP);
    defaults.set_min_p(sampling.minP);
    defaults.set_repeat_penalty(sampling.repeatPenalty);
  }
  if (manifest.bos >= 0)
    out.set_begin_of_text(manifest.bos);
  out.mutable_end_of_text()->Add(manifest.endOfText.begin(), manifest.endOfText.end());
  out.set_state(toProto(dispatcher_.state()));
  out.set_epoch(supervisor_.epoch());
  out.mutable_other_names()->Add(admission_.otherNames().begin(), admission_.otherNames().end());
  response = serialize(out);
  return grpc::Status::OK;
}

} // namespace heddle
