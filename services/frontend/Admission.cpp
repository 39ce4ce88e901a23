//===- Admission.cpp -----------------------------------------------------------------------------------------------===//
#include "services/frontend/Admission.h"
#include <random>
#include <stdexcept>

namespace heddle {
namespace {

grpc::Status invalid(const std::string &message) { return {grpc::StatusCode::INVALID_ARGUMENT, message}; }

uint64_t drawSeed() {
  std::random_device source;
  return uint64_t{source()} << 32 | source();
}

std::vector<ChatMessage> messages(const v1::Chat &chat) {
  std::vector<ChatMessage> out;
  for (const v1::ChatMessage &message : chat.messages())
    out.push_back({message.role(), message.content()});
  return out;
}

/// Runs `encode`; what tokenizer or template refuse becomes the client's error.
template <typename Encode> std::variant<std::vector<int32_t>, grpc::Status> encoded(const char *field, Encode encode) {
  try {
    return encode();
  } catch (const std::exception &error) {
    return invalid(std::string(field) + ": " + error.what());
  }
}

std::variant<std::vector<int32_t>, grpc::Status> encodeChat(const ServedModel &model, const v1::Chat &chat) {
  if (chat.messages().empty())
    return invalid("chat.messages must hold at least one message");
  return encoded("chat.messages", [&] { return model.encodeChat(messages(chat)); });
}

std::variant<std::vector<int32_t>, grpc::Status> givenTokens(const v1::TokenIds &tokens, int64_t vocabulary) {
  for (int i = 0; i < tokens.ids_size(); ++i)
    if (tokens.ids(i) < 0 || tokens.ids(i) >= vocabulary)
      return invalid("tokens.ids[" + std::to_string(i) + "] must be in [0, " + std::to_string(vocabulary) + "), not " +
                     std::to_string(tokens.ids(i)));
  return std::vector<int32_t>(tokens.ids().begin(), tokens.ids().end());
}

} // namespace

SamplingParams fromProto(const v1::Sampling &sampling) {
  SamplingParams out;
  if (sampling.has_max_tokens())
    out.maxTokens = sampling.max_tokens();
  if (sampling.has_temperature())
    out.temperature = sampling.temperature();
  if (sampling.has_top_k())
    out.topK = sampling.top_k();
  if (sampling.has_top_p())
    out.topP = sampling.top_p();
  if (sampling.has_min_p())
    out.minP = sampling.min_p();
  if (sampling.has_repeat_penalty())
    out.repeatPenalty = sampling.repeat_penalty();
  if (sampling.has_seed())
    out.seed = sampling.seed();
  out.stop.assign(sampling.stop().begin(), sampling.stop().end());
  if (sampling.has_logprobs())
    out.logprobs = sampling.logprobs();
  if (sampling.has_ignore_end())
    out.ignoreEnd = sampling.ignore_end();
  return out;
}

grpc::Status Admission::checkModel(const std::string &name) const {
  if (name.empty() || name == model_.manifest().name)
    return grpc::Status::OK;
  return {grpc::StatusCode::NOT_FOUND, "model '" + name + "' is not served here; this server has " + model_.manifest().name};
}

std::variant<Request, grpc::Status> Admission::admit(const v1::GenerateRequest &request) const {
  if (grpc::Status status = checkModel(request.model()); !status.ok())
    return status;
  SamplingParams sampling = fromProto(request.sampling());
  if (std::optional<FieldError> error = validate(sampling))
    return invalid("sampling." + error->message);
  if (!sampling.seed)
    sampling.seed = drawSeed();

  std::variant<std::vector<int32_t>, grpc::Status> tokens;
  const char *field = "prompt";
  switch (request.input_case()) {
  case v1::GenerateRequest::kPrompt:
    tokens = encoded(field, [&] { return model_.encodePrompt(request.prompt(), request.raw()); });
    break;
  case v1::GenerateRequest::kChat:
    field = "chat";
    tokens = encodeChat(model_, request.chat());
    break;
  case v1::GenerateRequest::kTokens:
    field = "tokens";
    tokens = givenTokens(request.tokens(), model_.manifest().vocabulary);
    break;
  case v1::GenerateRequest::INPUT_NOT_SET:
    return invalid("prompt, chat or tokens must be set");
  }
  if (grpc::Status *status = std::get_if<grpc::Status>(&tokens))
    return *status;
  std::vector<int32_t> &ids = std::get<std::vector<int32_t>>(tokens);
  if (ids.empty())
    return invalid(std::string(field) + " must hold at least one token");
  if (static_cast<int64_t>(ids.size()) >= context_)
    return invalid(std::string(field) + " has " + std::to_string(ids.size()) + " tokens, but the context of " +
                   std::to_string(context_) +
                   " must hold it and a token of the answer; shorten it or start the server with a larger " + "--context");
  return Request{0, std::move(ids), std::move(sampling)};
}

std::variant<std::vector<int32_t>, grpc::Status> Admission::tokenize(const v1::TokenizeRequest &request) const {
  if (grpc::Status status = checkModel(request.model()); !status.ok())
    return status;
  switch (request.input_case()) {
  case v1::TokenizeRequest::kText:
    return encoded("text", [&] { return model_.encodePrompt(request.text(), /*raw=*/true); });
  case v1::TokenizeRequest::kChat:
    return encodeChat(model_, request.chat());
  default:
    return invalid("text or chat must be set");
  }
}

} // namespace heddle
