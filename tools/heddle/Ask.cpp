//===- Ask.cpp - heddle ask: ask a server, stream its answer --------------------------------------------------------------===//
#include "services/client/Ask.h"
#include "services/address/Address.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Numbers.h"
#include "tools/heddle/Options.h"
#include <CLI/CLI.hpp>

namespace heddle::tool {
namespace {

struct AskCommand {
  AskOptions ask;
  SamplingParams sampling;
};

/// What was not given stays unset: the server's defaults count.
AskOptions withGiven(const CLI::App &command, const AskCommand &parsed) {
  AskOptions ask = parsed.ask;
  const SamplingParams &sampling = parsed.sampling;
  auto given = [&](const char *option, auto &field, auto value) {
    if (command.count(option))
      field = value;
  };
  given("--tokens", ask.maxTokens, sampling.maxTokens);
  given("--temperature", ask.temperature, sampling.temperature);
  given("--top-k", ask.topK, sampling.topK);
  given("--top-p", ask.topP, sampling.topP);
  given("--min-p", ask.minP, sampling.minP);
  given("--repeat-penalty", ask.repeatPenalty, sampling.repeatPenalty);
  given("--logprobs", ask.logprobs, sampling.logprobs);
  ask.seed = sampling.seed;
  ask.stop = sampling.stop;
  return ask;
}

void checkAddress(const std::string &text) {
  try {
    if (Address address = parseAddress(text); address.kind == Address::Kind::Tcp && address.port == 0)
      throw UsageError("nobody listens on port 0; heddle serve says its address");
  } catch (const std::invalid_argument &error) {
    throw UsageError(error.what());
  }
}

} // namespace

void addAsk(CLI::App &app, Action &action) {
  auto options = std::make_shared<AskCommand>();
  CLI::App *command = app.add_subcommand("ask", "Ask a server over gRPC and stream its answer");
  command->add_option("ADDR", options->ask.address, "HOST:PORT or unix:PATH, as heddle serve says it")->required()->type_name("");
  command->add_option("-p,--prompt", options->ask.prompt, "One user turn, put through the model's chat template if it has one")
      ->required()
      ->type_name("TEXT");
  addInteger(*command, "-n,--tokens", options->sampling.maxTokens, INT64_MIN, INT64_MAX, "Most tokens of the answer")
      ->type_name("TOKENS");
  command->add_flag("--raw", options->ask.raw, "Continue the text as it is: no template, nothing added");
  command->add_option("--model", options->ask.model, "Name of the model (default: the one that is served)")->type_name("NAME");
  addSamplingOptions(*command, options->sampling);
  addReal(*command, "--timeout", options->ask.timeout, "Give up after so many seconds", 0.001, 1e6)->type_name("SECONDS");
  addJsonOption(*command, options->ask.json);
  command->callback([options, command, &action] {
    checkAddress(options->ask.address);
    checkSampling(options->sampling);
    if (firstInvalidUtf8(options->ask.prompt) != std::string::npos)
      throw UsageError("-p is not UTF-8 at byte " + std::to_string(firstInvalidUtf8(options->ask.prompt)) + "; convert the text");
    action = [ask = withGiven(*command, *options)] { return heddle::ask(ask); };
  });
}

} // namespace heddle::tool
