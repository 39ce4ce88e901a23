//===- InferenceService.cpp - the unary calls; Generate's stream is in GenerateCall.cpp -----------------------------===//
#include "services/grpc/InferenceService.h"
#include "services/frontend/TokenText.h"
#include "services/grpc/GenerateCall.h"
#include "services/grpc/Wire.h"
#include <grpcpp/grpcpp.h>

namespace heddle {
namespace {

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
  return GenerateCall::start(*context, *request, model_, admission_, dispatcher_);
}

grpc::ServerUnaryReactor *InferenceService::Tokenize(grpc::CallbackServerContext *context, const grpc::ByteBuffer *request,
                                                     grpc::ByteBuffer *response) {
  return finished(context, tokenize(*request, *response));
}

grpc::ServerUnaryReactor *InferenceService::GetModel(grpc::CallbackServerContext *context, const grpc::ByteBuffer *request,
                                                     grpc::ByteBuffer *response) {
  return finished(context, describe(*request, *response));
}

grpc::Status InferenceService::tokenize(const grpc::ByteBuffer &request, grpc::ByteBuffer &response) const {
  v1::TokenizeRequest message;
  if (grpc::Status status = parse(request, message); !status.ok())
    return status;
  auto tokens = admission_.tokenize(message);
  if (const grpc::Status *status = std::get_if<grpc::Status>(&tokens))
    return *status;
  v1::TokenizeResponse out;
  for (int32_t id : std::get<std::vector<int32_t>>(tokens)) {
    out.add_ids(id);
    out.add_pieces(tokenText(*model_.tokenizer(), id).text);
  }
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
  if (manifest.bos >= 0)
    out.set_begin_of_text(manifest.bos);
  out.mutable_end_of_text()->Add(manifest.endOfText.begin(), manifest.endOfText.end());
  out.set_state(toProto(dispatcher_.state()));
  out.set_epoch(supervisor_.epoch());
  response = serialize(out);
  return grpc::Status::OK;
}

} // namespace heddle
