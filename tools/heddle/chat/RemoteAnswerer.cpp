//===- RemoteAnswerer.cpp - answers of a server --------------------------------------------------------------------------===//
#include "tools/heddle/chat/RemoteAnswerer.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Interrupt.h"
#include <chrono>

namespace heddle::tool {
namespace {

using Clock = std::chrono::steady_clock;

const char *name(v1::StopReason reason) {
  switch (reason) {
  case v1::STOP_REASON_MAX_TOKENS:
    return "max_tokens";
  case v1::STOP_REASON_END_OF_TEXT:
    return "end_of_text";
  case v1::STOP_REASON_STOP_STRING:
    return "stop_string";
  case v1::STOP_REASON_CONTEXT_FULL:
    return "context_full";
  default:
    return "unknown";
  }
}

void fill(v1::Chat &chat, const std::vector<ChatMessage> &messages, bool parseSpecial) {
  chat.set_parse_special(parseSpecial);
  for (const ChatMessage &message : messages) {
    v1::ChatMessage &to = *chat.add_messages();
    to.set_role(message.role);
    to.set_content(message.content);
  }
}

v1::Sampling toProto(const SamplingChoice &choice) {
  v1::Sampling out;
  if (choice.maxTokens)
    out.set_max_tokens(*choice.maxTokens);
  if (choice.temperature)
    out.set_temperature(*choice.temperature);
  if (choice.topK)
    out.set_top_k(*choice.topK);
  if (choice.topP)
    out.set_top_p(*choice.topP);
  if (choice.minP)
    out.set_min_p(*choice.minP);
  if (choice.repeatPenalty)
    out.set_repeat_penalty(*choice.repeatPenalty);
  if (choice.seed)
    out.set_seed(*choice.seed);
  if (choice.logprobs)
    out.set_logprobs(*choice.logprobs);
  out.mutable_stop()->Assign(choice.stop.begin(), choice.stop.end());
  return out;
}

/// What a server says of one call is no reason to end a chat.
template <class Call> auto asFailure(Call call) {
  try {
    return call();
  } catch (const ClientError &error) {
    throw Failure(error.what());
  }
}

} // namespace

const v1::GetModelResponse &RemoteAnswerer::about() const {
  if (!about_) {
    v1::GetModelRequest request;
    request.set_model(name_);
    about_ = asFailure([&] { return client_.model(request); });
  }
  return *about_;
}

int64_t RemoteAnswerer::promptTokens(const Question &question) {
  v1::TokenizeRequest request;
  request.set_model(name_);
  request.set_ids_only(true);
  fill(*request.mutable_chat(), question.messages, parseSpecial_);
  return asFailure([&] { return client_.tokenize(request).ids_size(); });
}

bool RemoteAnswerer::draws(const Question &question) const {
  bool chats = !question.messages.empty() || (!question.raw && hasChatTemplate());
  double own = chats && about().has_default_sampling() ? about().default_sampling().temperature() : 0;
  return sampling_.temperature.value_or(own) > 0;
}

Answer RemoteAnswerer::answer(const Question &question, std::optional<uint64_t> seed, const TextSink &text) {
  v1::GenerateRequest request;
  request.set_model(name_);
  if (question.messages.empty()) {
    request.set_prompt(question.prompt);
    request.set_raw(question.raw);
  } else {
    fill(*request.mutable_chat(), question.messages, parseSpecial_);
  }
  *request.mutable_sampling() = toProto(sampling_);
  if (seed)
    request.mutable_sampling()->set_seed(*seed);

  Answer answer;
  answer.stopReason = "cancelled";
  Interruptible interruptible;
  const auto start = Clock::now();
  auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  auto event = [&](const v1::GenerateResponse &response) {
    if (answer.tokens.empty() && response.tokens_size() > 0)
      answer.firstToken = elapsed();
    for (const v1::Token &token : response.tokens()) {
      answer.tokens.push_back({token.id(), token.text(), token.logprob(), {}});
      for (const v1::Alternative &other : token.alternatives())
        answer.tokens.back().best.push_back({other.id(), other.text(), other.logprob(), {}});
    }
    answer.outputTokens = static_cast<int64_t>(answer.tokens.size());
    answer.text += response.text();
    if (response.has_finish()) {
      const v1::Finish &finish = response.finish();
      answer.stopReason = name(finish.reason());
      answer.stopString = finish.stop_string();
      answer.promptTokens = finish.usage().prompt_tokens();
      answer.cachedTokens = finish.usage().cached_tokens();
      answer.outputTokens = finish.usage().output_tokens();
      answer.seed = finish.seed();
    }
    if (!response.text().empty())
      text(response.text());
  };
  try {
    client_.generate(request, event, [] { return Interruptible::interrupted(); });
  } catch (const ClientError &error) {
    if (!error.invalidArgument || question.messages.empty())
      throw Failure(error.what());
    if (int64_t tokens = promptTokens(question); tokens >= context())
      throw TooLong(tokens, context());
    throw Failure(error.what());
  }
  answer.seconds = elapsed();
  return answer;
}

} // namespace heddle::tool
