//===- Ask.cpp - heddle ask: ask a server, or chat with it ---------------------------------------------------------------===//
#include "services/address/Address.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Numbers.h"
#include "tools/heddle/chat/Chat.h"
#include "tools/heddle/chat/PromptOptions.h"
#include "tools/heddle/chat/RemoteAnswerer.h"
#include <CLI/CLI.hpp>

namespace heddle::tool {
namespace {

struct AskOptions {
  std::string address, model;
  double timeout = 0; // seconds; 0: none
  PromptOptions prompt;
};

void checkAddress(const std::string &text) {
  try {
    if (Address address = parseAddress(text); address.kind == Address::Kind::Tcp && address.port == 0)
      throw UsageError("nobody listens on port 0; heddle serve says its address");
  } catch (const std::invalid_argument &error) {
    throw UsageError(error.what());
  }
}

int ask(const AskOptions &options) {
  const PromptOptions &prompt = options.prompt;
  RemoteAnswerer answerer(options.address, options.timeout, options.model, prompt.sampling, prompt.parseSpecial);
  if (!prompt.chats())
    return answerOnce(answerer, prompt.question(), prompt, /*loadSeconds=*/std::nullopt);
  if (!answerer.hasChatTemplate())
    throw Failure("the model '" + answerer.model() + "' has no chat template; give a text to continue with -p TEXT");
  auto lines = LineSource::open();
  Chat(answerer, *lines, prompt.system.value_or(""), prompt.sampling.seed).run();
  return 0;
}

} // namespace

void addAsk(CLI::App &app, Action &action) {
  auto options = std::make_shared<AskOptions>();
  CLI::App *command = app.add_subcommand("ask", "Ask a server over gRPC, or chat with it when there is no -p and no -f");
  command->add_option("ADDR", options->address, "HOST:PORT or unix:PATH, as heddle serve says it")->required()->type_name("");
  addPromptOptions(*command, options->prompt);
  command->add_option("--model", options->model, "Name of the model (default: the one that is served)")->type_name("NAME");
  addReal(*command, "--timeout", options->timeout, "Give up after so many seconds", 0.001, 1e6)->type_name("SECONDS");
  command->callback([options, command, &action] {
    checkAddress(options->address);
    checkPromptOptions(*command, options->prompt);
    action = [options] { return ask(*options); };
  });
}

} // namespace heddle::tool
