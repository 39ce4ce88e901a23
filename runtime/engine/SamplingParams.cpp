//===- SamplingParams.cpp - ranges of sampling parameters ------------------------------------------------------------===//
#include "runtime/engine/Engine.h"
#include "runtime/text/Utf8.h"
#include <charconv>
#include <cmath>

namespace heddle {
namespace {

std::string number(double value) {
  char text[32]; // the shortest text that gives this very number: 1.0000001 is not shown as 1
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

} // namespace

std::optional<FieldError> validate(const SamplingParams &p) {
  auto outside = [](const char *field, const std::string &range, const std::string &value) {
    return FieldError{field, std::string(field) + " must be in " + range + ", not " + value};
  };
  // Written as !(in range), so that NaN is outside.
  if (!(p.temperature == 0 || (p.temperature > 0 && p.temperature <= 10)))
    return outside("temperature", "[0, 10]", number(p.temperature));
  if (p.topK < 0)
    return FieldError{"top_k", "top_k must be at least 0, not " + std::to_string(p.topK)};
  if (!(p.topP > 0 && p.topP <= 1))
    return outside("top_p", "(0, 1]", number(p.topP));
  if (!(p.minP >= 0 && p.minP <= 1))
    return outside("min_p", "[0, 1]", number(p.minP));
  if (!(p.repeatPenalty >= 0.1 && p.repeatPenalty <= 10))
    return outside("repeat_penalty", "[0.1, 10]", number(p.repeatPenalty));
  if (p.logprobs < 0 || p.logprobs > kMostLogprobs)
    return outside("logprobs", "[0, " + std::to_string(kMostLogprobs) + "]", std::to_string(p.logprobs));
  if (p.maxTokens < 1)
    return FieldError{"max_tokens", "max_tokens must be at least 1, not " + std::to_string(p.maxTokens)};
  if (p.stop.size() > 16)
    return FieldError{"stop", "stop must have at most 16 texts, not " + std::to_string(p.stop.size())};
  for (const std::string &text : p.stop) {
    if (text.empty() || text.size() > 256)
      return FieldError{"stop", "stop texts must have 1 to 256 bytes, not " + std::to_string(text.size())};
    if (firstInvalidUtf8(text) != std::string::npos)
      return FieldError{"stop", "stop texts must be valid UTF-8"};
  }
  return std::nullopt;
}

} // namespace heddle
