//===- Answer.h - an answer, and how run and ask print it ----------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace heddle::tool {

struct AnswerToken {
  int32_t id;
  std::string text; // by itself; a part of a character reads as U+FFFD
  double logprob;
  std::vector<AnswerToken> best; // the likeliest at its place
};

/// One answer, from an engine of this process, a worker group or a server.
struct Answer {
  std::string text;
  std::vector<AnswerToken> tokens; // with texts only where they were asked for (Answerer)
  std::string stopReason;          // max_tokens, end_of_text, stop_string, context_full, cancelled
  std::string stopString;          // with stop_string
  int64_t promptTokens = 0, cachedTokens = 0, outputTokens = 0;
  uint64_t seed = 0;
  double firstToken = 0, seconds = 0; // from the start of the request
  bool cancelled() const { return stopReason == "cancelled"; }
};

/// The one JSON object of `run --json` and `ask --json` (docs/chat.md), without a line end. `logprobs`: whether they were asked
/// for; `loadSeconds`: how long the model took to be there, 0 where a server has it.
std::string toJson(const Answer &answer, bool logprobs, double loadSeconds);

/// One line for people: sizes, speed, why it ended; the seed where it mattered.
std::string describe(const Answer &answer, bool drawn);

} // namespace heddle::tool
