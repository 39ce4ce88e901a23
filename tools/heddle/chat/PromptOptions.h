//===- PromptOptions.h - what run and ask are asked, and how they shall answer -------------------------------------------===//
#pragma once
#include "tools/heddle/Options.h"
#include "tools/heddle/chat/Answerer.h"

namespace heddle::tool {

/// The sampling options that were given; what was not is the model's or the server's to say.
struct SamplingChoice {
  std::optional<int64_t> maxTokens, topK, logprobs;
  std::optional<double> temperature, topP, minP, repeatPenalty;
  std::optional<uint64_t> seed;
  std::vector<std::string> stop;

  SamplingParams over(SamplingParams defaults) const;
};

/// The options that run and ask share.
struct PromptOptions {
  std::optional<std::string> prompt, file, system; // -p, -f, --system
  bool raw = false, json = false;
  bool parseSpecial = false; // special tokens in messages are read as such
  SamplingParams parsed;
  SamplingChoice sampling;

  bool chats() const { return !prompt && !file; }
  /// -p and -f as a question; reads the file. Throws Failure.
  Question question() const;
};

void addPromptOptions(CLI::App &command, PromptOptions &options);
/// After parsing: throws UsageError for what makes no sense together.
void checkPromptOptions(const CLI::App &command, PromptOptions &options);

/// Answers one question and prints it as the options say; the exit status. `loadSeconds`: of the model; none: a server has it,
/// and there is no line about speed.
int answerOnce(Answerer &answerer, Question question, const PromptOptions &options, std::optional<double> loadSeconds);

} // namespace heddle::tool
