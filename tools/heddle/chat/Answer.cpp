//===- Answer.cpp - an answer, and how run and ask print it --------------------------------------------------------------===//
#include "tools/heddle/chat/Answer.h"
#include <nlohmann/json.hpp>

namespace heddle::tool {
namespace {

using Json = nlohmann::ordered_json;

Json toJson(const AnswerToken &token, bool logprobs) {
  Json entry = {{"id", token.id}, {"text", token.text}};
  if (logprobs)
    entry["logprob"] = token.logprob;
  return entry;
}

} // namespace

std::string toJson(const Answer &answer, bool logprobs, double loadSeconds) {
  Json tokens = Json::array();
  for (const AnswerToken &token : answer.tokens) {
    Json entry = toJson(token, logprobs);
    if (logprobs) {
      entry["best"] = Json::array();
      for (const AnswerToken &other : token.best)
        entry["best"].push_back(toJson(other, true));
    }
    tokens.push_back(std::move(entry));
  }
  Json report = {{"text", answer.text}, {"tokens", std::move(tokens)}, {"stop_reason", answer.stopReason}};
  if (answer.stopReason == "stop_string")
    report["stop_string"] = answer.stopString;
  report["usage"] = {
      {"prompt_tokens", answer.promptTokens}, {"cached_tokens", answer.cachedTokens}, {"output_tokens", answer.outputTokens}};
  report["seed"] = answer.seed;
  report["timings"] = {
      {"load_seconds", loadSeconds}, {"first_token_seconds", answer.firstToken}, {"total_seconds", answer.seconds}};
  return report.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string describe(const Answer &answer, bool drawn) {
  char text[200];
  std::snprintf(text, sizeof text, "%lld prompt tokens", static_cast<long long>(answer.promptTokens));
  std::string line = text;
  if (answer.cachedTokens > 0)
    line += " (" + std::to_string(answer.promptTokens - answer.cachedTokens) + " of them new)";
  if (answer.tokens.empty()) {
    line += ", no token";
  } else {
    std::snprintf(text, sizeof text, ", first token after %.2f s, %zu tokens", answer.firstToken, answer.tokens.size());
    line += text;
  }
  double decode = answer.seconds - answer.firstToken;
  if (answer.tokens.size() > 1 && decode > 0)
    line += " at " + std::to_string(static_cast<int64_t>(static_cast<double>(answer.tokens.size() - 1) / decode)) + " a second";
  if (drawn)
    line += ", seed " + std::to_string(answer.seed);
  return line + ", ended by " + answer.stopReason;
}

} // namespace heddle::tool
