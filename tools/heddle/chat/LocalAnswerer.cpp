//===- LocalAnswerer.cpp - answers of an engine of this program ------------------------------------------------------------===//
#include "tools/heddle/chat/LocalAnswerer.h"
#include "services/frontend/TokenText.h"
#include "tools/heddle/Interrupt.h"
#include <chrono>
#include <random>

namespace heddle::tool {
namespace {

using Clock = std::chrono::steady_clock;

const char *name(StopReason reason) {
  switch (reason) {
  case StopReason::None:
    return "none";
  case StopReason::MaxTokens:
    return "max_tokens";
  case StopReason::EndOfText:
    return "end_of_text";
  case StopReason::StopString:
    return "stop_string";
  case StopReason::ContextFull:
    return "context_full";
  case StopReason::Cancelled:
    return "cancelled";
  case StopReason::Error:
    return "error";
  }
  return "unknown";
}

uint64_t drawSeed() {
  std::random_device source;
  return uint64_t{source()} << 32 | source();
}

} // namespace

std::vector<int32_t> LocalAnswerer::encode(const Question &question) const {
  return question.messages.empty() ? model_.encodePrompt(question.prompt, question.raw)
                                   : model_.encodeChat(question.messages, parseSpecial_);
}

SamplingParams LocalAnswerer::samplingFor(const Question &question) const {
  bool chats = !question.messages.empty() || (!question.raw && model_.hasChatTemplate());
  return sampling_.over(chats ? model_.chatSampling() : SamplingParams{});
}

Answer LocalAnswerer::answer(const Question &question, std::optional<uint64_t> seed, const TextSink &text) {
  Request request{++lastId_, encode(question), samplingFor(question)};
  if (seed)
    request.sampling.seed = seed;
  if (!request.sampling.seed)
    request.sampling.seed = drawSeed();
  if (auto tokens = static_cast<int64_t>(request.prompt.size()); tokens >= context())
    throw TooLong(tokens, context());

  Answer answer;
  auto token = [&](int32_t id, float logprob) {
    return AnswerToken{id, texts_ ? tokenText(*model_.tokenizer(), id).text : std::string(), logprob, {}};
  };
  Interruptible interruptible;
  const auto start = Clock::now();
  auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  StopReason stop = StopReason::None;
  answer.seed = *request.sampling.seed;
  session_.generate(request, [&](const Event &event) {
    if (answer.tokens.empty() && !event.tokens.empty())
      answer.firstToken = elapsed();
    for (const TokenResult &one : event.tokens) {
      answer.tokens.push_back(token(one.token, one.logprob));
      for (const Alternative &other : one.best)
        answer.tokens.back().best.push_back(token(other.token, other.logprob));
    }
    answer.text += event.text;
    answer.promptTokens = event.promptTokens;
    answer.outputTokens = event.outputTokens;
    answer.cachedTokens = event.cachedTokens;
    answer.stopString = event.stopString;
    stop = event.stop;
    if (!event.text.empty())
      text(event.text);
    return true;
  });
  answer.stopReason = name(stop);
  answer.seconds = elapsed();
  return answer;
}

} // namespace heddle::tool
