//===- PromptOptions.cpp - what run and ask are asked, and how they shall answer -----------------------------------------===//
#include "tools/heddle/chat/PromptOptions.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Interrupt.h"
#include "tools/heddle/Numbers.h"
#include "tools/heddle/chat/TextInput.h"
#include <CLI/CLI.hpp>
#include <iostream>
#include <utility>

namespace heddle::tool {

SamplingParams SamplingChoice::over(SamplingParams defaults) const {
  auto set = [](auto &field, const auto &given) {
    if (given)
      field = *given;
  };
  set(defaults.maxTokens, maxTokens);
  set(defaults.topK, topK);
  set(defaults.logprobs, logprobs);
  set(defaults.temperature, temperature);
  set(defaults.topP, topP);
  set(defaults.minP, minP);
  set(defaults.repeatPenalty, repeatPenalty);
  defaults.seed = seed;
  defaults.stop = stop;
  return defaults;
}

Question PromptOptions::question() const {
  Question out;
  out.raw = raw;
  if (prompt)
    out.prompt = *prompt;
  if (file) {
    std::string text = readPromptFile(*file);
    out.prompt = prompt ? *prompt + "\n\n" + text : text;
  }
  if (system) {
    out.messages = {{"system", *system}, {"user", out.prompt}};
    out.prompt.clear();
  }
  return out;
}

void addPromptOptions(CLI::App &command, PromptOptions &options) {
  command
      .add_option_function<std::string>(
          "-p,--prompt", [&options](const std::string &text) { options.prompt = text; },
          "One user turn, put through the model's chat template if it has one; without -p and -f: a chat")
      ->type_name("TEXT");
  command
      .add_option_function<std::string>(
          "-f,--file", [&options](const std::string &file) { options.file = file; },
          "Read the turn from a file, - for standard input; with -p as well it follows that text")
      ->type_name("FILE");
  command
      .add_option_function<std::string>(
          "--system", [&options](const std::string &text) { options.system = text; },
          "What the model shall keep to, as the system message of the chat template")
      ->type_name("TEXT");
  addInteger(command, "-n,--tokens", options.parsed.maxTokens, int64_t(1), INT64_MAX, "Most tokens of an answer (default 256)")
      ->type_name("TOKENS");
  command.add_flag("--raw", options.raw, "Continue the text of -p or -f as it is: no template, nothing added");
  command.add_flag("--parse-special", options.parseSpecial,
                   "Read special tokens written in a message as such, not as text; --raw does so anyway");
  addSamplingOptions(command, options.parsed);
  addJsonOption(command, options.json);
}

static void checkText(const char *option, const std::optional<std::string> &text) {
  if (!text)
    return;
  if (text->empty())
    throw UsageError(std::string(option) + " is empty; give a text, or leave it out");
  if (size_t bad = firstInvalidUtf8(*text); bad != std::string::npos)
    throw UsageError(std::string(option) + " is not UTF-8 at byte " + std::to_string(bad) + "; convert the text");
}

void checkPromptOptions(const CLI::App &command, PromptOptions &options) {
  checkSampling(options.parsed);
  auto given = [&](const char *option, auto &field, auto value) {
    if (command.count(option))
      field = value;
  };
  const SamplingParams &parsed = options.parsed;
  SamplingChoice &chosen = options.sampling;
  given("--tokens", chosen.maxTokens, parsed.maxTokens);
  given("--temperature", chosen.temperature, parsed.temperature);
  given("--top-k", chosen.topK, parsed.topK);
  given("--top-p", chosen.topP, parsed.topP);
  given("--min-p", chosen.minP, parsed.minP);
  given("--repeat-penalty", chosen.repeatPenalty, parsed.repeatPenalty);
  given("--logprobs", chosen.logprobs, parsed.logprobs);
  chosen.seed = parsed.seed;
  chosen.stop = parsed.stop;

  if (options.chats() && (options.raw || options.json))
    throw UsageError("--raw and --json need a prompt: add -p TEXT or -f FILE");
  if (options.raw && options.system)
    throw UsageError("--raw adds nothing to the text, so it does not go with --system");
  if (parsed.logprobs > 0 && !options.json)
    throw UsageError("--logprobs needs --json, which shows them");
  checkText("-p", options.prompt);
  checkText("--system", options.system);
}

int answerOnce(Answerer &answerer, Question question, const PromptOptions &options, std::optional<double> loadSeconds) {
  // Only messages have a choice: a prompt that no template surrounds is read with its special tokens.
  if (options.parseSpecial && question.messages.empty() && !question.raw && answerer.hasChatTemplate())
    question.messages = {{"user", std::exchange(question.prompt, {})}};
  Answer answer = answerer.answer(question, std::nullopt, [&](const std::string &text) {
    if (!options.json)
      std::cout << text << std::flush;
  });
  if (options.json) {
    std::cout << toJson(answer, options.parsed.logprobs > 0, loadSeconds.value_or(0)) << std::endl;
  } else {
    std::cout << std::endl;
    if (loadSeconds)
      std::cerr << describe(answer, answerer.draws(question)) << "\n";
  }
  if (answer.cancelled())
    throw Interrupted{};
  return 0;
}

} // namespace heddle::tool
