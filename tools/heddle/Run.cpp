//===- Run.cpp - heddle run: one prompt, or a chat -----------------------------------------------------------------------===//
#include "tools/heddle/Command.h"
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/chat/Chat.h"
#include "tools/heddle/chat/LocalAnswerer.h"
#include "tools/heddle/chat/PromptOptions.h"
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>

namespace heddle::tool {
namespace {
using Clock = std::chrono::steady_clock;

struct RunOptions {
  std::string model;
  PromptOptions prompt;
  RankOptions ranks;
  MemoryOptions memory;
};

/// Of a template that has no place for a system message, whether it says so or not.
void checkSystem(const ServedModel &model, const std::string &system) {
  if (!model.hasChatTemplate())
    throw Failure(model.whyNoChat() + ", so it takes no --system");
  const ChatMessage messages[] = {{"system", system}, {"user", "x"}};
  std::vector<int32_t> with = model.encodeChat(messages), without = model.encodeChat(std::span(messages).subspan(1));
  if (with == without)
    std::cerr << "the chat template of " << model.manifest().name << " leaves the system message out\n";
}

int run(const RunOptions &options) {
  const PromptOptions &prompt = options.prompt;
  std::optional<Question> question;
  if (!prompt.chats())
    question = prompt.question();
  ResolvedModel resolved = resolveModel(options.model);
  std::filesystem::path plan = planFor(resolved, {options.ranks.target, options.ranks.kvType, options.ranks.quantize});
  auto start = Clock::now();
  ServedModel model = ServedModel::open(plan, resolved.name);
  if (prompt.chats() && !model.hasChatTemplate())
    throw Failure(model.whyNoChat() + "; give a text to continue with --raw -p TEXT");
  if (prompt.system)
    checkSystem(model, *prompt.system);
  auto session = openSession(plan, options.ranks, options.memory, model.tokenizer());
  double loadSeconds = std::chrono::duration<double>(Clock::now() - start).count();
  LocalAnswerer answerer(model, *session, prompt.sampling, prompt.json, prompt.parseSpecial);
  if (question)
    return answerOnce(answerer, *question, prompt, loadSeconds);
  auto lines = LineSource::open();
  Chat(answerer, *lines, prompt.system.value_or(""), prompt.sampling.seed).run();
  return 0;
}

} // namespace

void addRun(CLI::App &app, Action &action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App *command = app.add_subcommand("run", "Answer one prompt, or chat when there is no -p and no -f");
  addModelOption(*command, options->model);
  addPromptOptions(*command, options->prompt);
  addRankOptions(*command, options->ranks);
  addMemoryOptions(*command, options->memory);
  addTokenBudgetOption(*command, options->ranks.tokenBudget);
  addTargetOption(*command, options->ranks.target);
  addKvTypeOption(*command, options->ranks.kvType);
  addQuantizeOption(*command, options->ranks.quantize);
  command->callback([options, command, &action] {
    checkPromptOptions(*command, options->prompt);
    action = [options] { return run(*options); };
  });
}

} // namespace heddle::tool
