//===- Admission.cpp -----------------------------------------------------------------------------------------------===//
#include "services/frontend/Admission.h"
#include "runtime/text/Utf8.h"
#include <algorithm>
#include <random>
#include <stdexcept>

namespace heddle {
namespace {

// So that the ids of a text fit gRPC's 4 MiB, and a call takes a second or so. Said in the .proto.
constexpr size_t kMostTokenizedBytes = 1 << 20;

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

/// Runs `encode`; what tokenizer or template refuse becomes the client's error. TextTooLong passes: the caller knows the limit.
template <typename Encode> std::variant<std::vector<int32_t>, grpc::Status> encoded(const char *field, Encode encode) {
  try {
    return encode();
  } catch (const TextTooLong &) {
    throw;
  } catch (const std::exception &error) {
    return invalid(std::string(field) + ": " + error.what());
  }
}

grpc::Status tooLong(const std::string &has, int64_t context) {
  return invalid(has + ", but the context of " + std::to_string(context) +
                 " must hold it and a token of the answer; shorten it or start the server with a larger --context");
}

grpc::Status checkTokens(const v1::TokenIds &tokens, int64_t vocabulary) {
  for (int i = 0; i < tokens.ids_size(); ++i)
    if (tokens.ids(i) < 0 || tokens.ids(i) >= vocabulary)
      return invalid("tokens.ids[" + std::to_string(i) + "] must be in [0, " + std::to_string(vocabulary) + "), not " +
                     std::to_string(tokens.ids(i)));
  return grpc::Status::OK;
}

/// Of a text to tokenize; a chat's before its template.
size_t bytesOf(const v1::TokenizeRequest &request) {
  size_t bytes = request.text().size();
  for (const v1::ChatMessage &message : request.chat().messages())
    bytes += message.role().size() + message.content().size();
  return bytes;
}

} // namespace

SamplingParams fromProto(const v1::Sampling &sampling, SamplingParams out) {
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
  const std::string &own = model_.manifest().name;
  if (name.empty() || name == own || std::find(otherNames_.begin(), otherNames_.end(), name) != otherNames_.end())
    return grpc::Status::OK;
  return {grpc::StatusCode::NOT_FOUND,
          "model '" + printable(name.substr(0, 200)) + "' is not served here; this server has " + printable(own)};
}

grpc::Status Admission::checkChat(const v1::Chat &chat) const {
  if (chat.messages().empty())
    return invalid("chat.messages must hold at least one message");
  if (chat.messages_size() > context_)
    return invalid("chat.messages has " + std::to_string(chat.messages_size()) + " messages, but the context has only " +
                   std::to_string(context_) + " tokens; leave out the oldest");
  return grpc::Status::OK;
}

grpc::Status Admission::check(const v1::GenerateRequest &request) const {
  if (grpc::Status status = checkModel(request.model()); !status.ok())
    return status;
  if (std::optional<FieldError> error = validate(fromProto(request.sampling())))
    return invalid("sampling." + error->message);
  switch (request.input_case()) {
  case v1::GenerateRequest::kPrompt:
    try {
      model_.checkPrompt(request.prompt(), request.raw(), context_ - 1);
    } catch (const TextTooLong &error) {
      return tooLong("prompt " + std::string(error.what()), context_);
    }
    return grpc::Status::OK;
  case v1::GenerateRequest::kChat:
    return checkChat(request.chat());
  case v1::GenerateRequest::kTokens:
    if (request.tokens().ids_size() >= context_)
      return tooLong("tokens has " + std::to_string(request.tokens().ids_size()) + " tokens", context_);
    return checkTokens(request.tokens(), model_.manifest().vocabulary);
  default:
    return invalid("prompt, chat or tokens must be set");
  }
}

std::variant<std::vector<int32_t>, grpc::Status> Admission::inputTokens(const v1::GenerateRequest &request) const {
  int64_t most = context_ - 1;
  switch (request.input_case()) {
  case v1::GenerateRequest::kPrompt:
    return encoded("prompt", [&] { return model_.encodePrompt(request.prompt(), request.raw(), most); });
  case v1::GenerateRequest::kChat:
    return encoded("chat.messages",
                   [&] { return model_.encodeChat(messages(request.chat()), request.chat().parse_special(), most); });
  default:
    return std::vector<int32_t>(request.tokens().ids().begin(), request.tokens().ids().end());
  }
}

std::variant<Request, grpc::Status> Admission::admit(const v1::GenerateRequest &request) const {
  if (grpc::Status status = check(request); !status.ok())
    return status;
  const std::string field = request.has_prompt() ? "prompt" : request.has_chat() ? "chat" : "tokens";
  try {
    auto tokens = inputTokens(request);
    if (grpc::Status *status = std::get_if<grpc::Status>(&tokens))
      return *status;
    std::vector<int32_t> &ids = std::get<std::vector<int32_t>>(tokens);
    if (ids.empty())
      return invalid(field + " must hold at least one token");
    if (static_cast<int64_t>(ids.size()) >= context_)
      return tooLong(field + " has " + std::to_string(ids.size()) + " tokens", context_);
    bool chats = request.has_chat() || (request.has_prompt() && !request.raw() && model_.hasChatTemplate());
    SamplingParams sampling = fromProto(request.sampling(), chats ? model_.chatSampling() : SamplingParams{});
    if (!sampling.seed)
      sampling.seed = drawSeed();
    return Request{0, std::move(ids), std::move(sampling)};
  } catch (const TextTooLong &error) {
    return tooLong(field + " " + error.what(), context_);
  }
}

grpc::Status Admission::check(const v1::TokenizeRequest &request) const {
  if (grpc::Status status = checkModel(request.model()); !status.ok())
    return status;
  const bool chat = request.has_chat();
  if (!chat && request.input_case() != v1::TokenizeRequest::kText)
    return invalid("text or chat must be set");
  if (size_t bytes = bytesOf(request); bytes > kMostTokenizedBytes)
    return invalid(std::string(chat ? "chat" : "text") + " has " + std::to_string(bytes) + " bytes; at most " +
                   std::to_string(kMostTokenizedBytes) + " fit: send it in parts");
  return chat ? checkChat(request.chat()) : grpc::Status::OK;
}

std::variant<std::vector<int32_t>, grpc::Status> Admission::tokenize(const v1::TokenizeRequest &request) const {
  if (grpc::Status status = check(request); !status.ok())
    return status;
  if (request.has_chat())
    return encoded("chat.messages", [&] { return model_.encodeChat(messages(request.chat()), request.chat().parse_special()); });
  return encoded("text", [&] { return model_.encodePrompt(request.text(), /*raw=*/true); });
}

} // namespace heddle
