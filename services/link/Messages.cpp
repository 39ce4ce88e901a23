//===- Messages.cpp ------------------------------------------------------------------------------------------------===//
#include "services/link/Messages.h"

namespace heddle {

internal::Submit toProto(const Request &request) {
  const SamplingParams &sampling = request.sampling;
  internal::Submit out;
  out.set_request(request.id);
  out.mutable_prompt()->Add(request.prompt.begin(), request.prompt.end());
  out.set_temperature(sampling.temperature);
  out.set_top_k(sampling.topK);
  out.set_top_p(sampling.topP);
  out.set_min_p(sampling.minP);
  out.set_repeat_penalty(sampling.repeatPenalty);
  out.set_seed(sampling.seed.value_or(0));
  out.set_logprobs(sampling.logprobs);
  out.set_max_tokens(sampling.maxTokens);
  for (const std::string &stop : sampling.stop)
    out.add_stop(stop);
  out.set_ignore_end(sampling.ignoreEnd);
  return out;
}

Request fromProto(const internal::Submit &submit) {
  Request out;
  out.id = submit.request();
  out.prompt.assign(submit.prompt().begin(), submit.prompt().end());
  out.sampling.temperature = submit.temperature();
  out.sampling.topK = submit.top_k();
  out.sampling.topP = submit.top_p();
  out.sampling.minP = submit.min_p();
  out.sampling.repeatPenalty = submit.repeat_penalty();
  out.sampling.seed = submit.seed();
  out.sampling.logprobs = submit.logprobs();
  out.sampling.maxTokens = submit.max_tokens();
  out.sampling.stop.assign(submit.stop().begin(), submit.stop().end());
  out.sampling.ignoreEnd = submit.ignore_end();
  return out;
}

internal::Call toProto(const EntryCall &call) {
  internal::Call out;
  out.set_entry(call.entry);
  for (const EntryCall::Part &part : call.parts) {
    internal::Call::Part &to = *out.add_parts();
    to.mutable_tokens()->Add(part.tokens.begin(), part.tokens.end());
    to.mutable_wanted()->Add(part.wanted.begin(), part.wanted.end());
    to.mutable_types()->Add(part.types.begin(), part.types.end());
  }
  return out;
}

EntryCall fromProto(const internal::Call &call) {
  EntryCall out;
  out.entry = call.entry();
  for (const internal::Call::Part &part : call.parts())
    out.parts.push_back({out.parts.size(),
                         {part.tokens().begin(), part.tokens().end()},
                         {part.wanted().begin(), part.wanted().end()},
                         {part.types().begin(), part.types().end()}});
  return out;
}

internal::Event toProto(const Event &event) {
  internal::Event out;
  out.set_request(event.request);
  for (const TokenResult &token : event.tokens) {
    internal::TokenResult &to = *out.add_tokens();
    to.set_token(token.token);
    to.set_logprob(token.logprob);
    for (const Alternative &best : token.best) {
      to.add_best_tokens(best.token);
      to.add_best_logprobs(best.logprob);
    }
  }
  out.set_text(event.text);
  out.set_stop(static_cast<uint32_t>(event.stop));
  out.set_stop_string(event.stopString);
  out.set_error(event.error);
  out.set_prompt_tokens(event.promptTokens);
  out.set_output_tokens(event.outputTokens);
  out.set_seed(event.seed);
  out.set_cached_tokens(event.cachedTokens);
  return out;
}

Event fromProto(const internal::Event &event) {
  Event out{};
  out.request = event.request();
  for (const internal::TokenResult &token : event.tokens()) {
    TokenResult to{token.token(), token.logprob(), {}};
    for (int i = 0; i < std::min(token.best_tokens_size(), token.best_logprobs_size()); ++i)
      to.best.push_back({token.best_tokens(i), token.best_logprobs(i)});
    out.tokens.push_back(std::move(to));
  }
  out.text = event.text();
  out.stopString = event.stop_string();
  out.error = event.error();
  if (event.stop() > static_cast<uint32_t>(StopReason::Error)) {
    out.stop = StopReason::Error;
    out.error = "the worker gave stop reason " + std::to_string(event.stop()) + ", which this frontend does not know";
  } else {
    out.stop = static_cast<StopReason>(event.stop());
  }
  out.promptTokens = event.prompt_tokens();
  out.outputTokens = event.output_tokens();
  out.seed = event.seed();
  out.cachedTokens = event.cached_tokens();
  return out;
}

internal::KernelTime toProto(const KernelTime &kernel) {
  internal::KernelTime out;
  out.set_name(kernel.name);
  out.set_calls(kernel.calls);
  out.set_seconds(kernel.seconds);
  out.set_waiting(kernel.waiting);
  out.set_gathering(kernel.gathering);
  out.set_bytes(kernel.bytes);
  out.set_integer_operations(kernel.integerOperations);
  out.set_float_operations(kernel.floatOperations);
  return out;
}

KernelTime fromProto(const internal::KernelTime &kernel) {
  return {kernel.name(),
          kernel.calls(),
          kernel.seconds(),
          kernel.waiting(),
          kernel.gathering(),
          kernel.bytes(),
          kernel.integer_operations(),
          kernel.float_operations()};
}

} // namespace heddle
