//===- Run.cpp - heddle run: one prompt, or a chat -----------------------------------------------------------------------===//
#include "runtime/text/Utf8.h"
#include "services/frontend/ServedModel.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/Numbers.h"
#include "tools/heddle/Options.h"
#include "tools/heddle/Process.h"
#include "tools/heddle/Session.h"
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <unistd.h>

namespace heddle::tool {
namespace {
using Clock = std::chrono::steady_clock;

struct RunOptions {
  std::string model;
  std::optional<std::string> prompt;
  bool raw = false, json = false;
  SamplingParams sampling;
  RankOptions ranks;
  MemoryOptions memory;
};

/// One answer, gathered from its events.
struct Answer {
  std::string text;
  std::vector<TokenResult> tokens;
  Event last;
  double firstToken = 0, seconds = 0; // from the start of the request
  bool interrupted = false;
};

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

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

/// Generates and, if `stream`, prints as it goes. Ctrl-C ends the answer, not the program.
Answer generate(Session &session, Request request, bool stream) {
  Answer answer;
  Interruptible interruptible;
  auto start = Clock::now();
  session.generate(request, [&](const Event &event) {
    if (answer.tokens.empty() && !event.tokens.empty())
      answer.firstToken = secondsSince(start);
    answer.text += event.text;
    answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
    answer.last = event;
    if (stream)
      std::cout << event.text << std::flush;
    return true;
  });
  answer.interrupted = answer.last.stop == StopReason::Cancelled;
  answer.seconds = secondsSince(start);
  return answer;
}

void printNote(const Answer &answer, bool seedMatters) {
  char note[200];
  double decode = answer.seconds - answer.firstToken;
  std::snprintf(note, sizeof note, "%lld prompt tokens, first token after %.2f s, %zu tokens",
                (long long)answer.last.promptTokens, answer.firstToken, answer.tokens.size());
  std::cerr << note;
  if (answer.tokens.size() > 1 && decode > 0)
    std::cerr << " at " << int64_t(double(answer.tokens.size() - 1) / decode) << " a second";
  if (seedMatters)
    std::cerr << ", seed " << answer.last.seed;
  std::cerr << ", ended by " << name(answer.last.stop) << "\n";
}

void printJson(const Answer &answer, const ServedModel &model, const SamplingParams &sampling, double loadSeconds) {
  auto pieceOf = [&](int32_t id) { return model.tokenizer()->tokenText(id); };
  nlohmann::ordered_json tokens = nlohmann::json::array();
  for (const TokenResult &token : answer.tokens) {
    nlohmann::ordered_json entry = {{"id", token.token}, {"text", pieceOf(token.token)}};
    if (sampling.logprobs > 0) { // a float as a double has all of its bits in the shortest text
      entry["logprob"] = double(token.logprob);
      entry["best"] = nlohmann::json::array();
      for (const Alternative &other : token.best)
        entry["best"].push_back(
            nlohmann::ordered_json{{"id", other.token}, {"text", pieceOf(other.token)}, {"logprob", double(other.logprob)}});
    }
    tokens.push_back(std::move(entry));
  }
  nlohmann::ordered_json report = {
      {"text", answer.text},
      {"tokens", tokens},
      {"stop_reason", name(answer.last.stop)},
      {"usage", {{"prompt_tokens", answer.last.promptTokens}, {"output_tokens", answer.last.outputTokens}}},
      {"seed", answer.last.seed},
      {"timings",
       {{"load_seconds", loadSeconds}, {"first_token_seconds", answer.firstToken}, {"total_seconds", answer.seconds}}}};
  if (answer.last.stop == StopReason::StopString)
    report["stop_string"] = answer.last.stopString;
  std::cout << report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

/// Reads turns from stdin until its end; the conversation so far goes with every turn.
int chat(const RunOptions &options, const ServedModel &model, Session &session) {
  bool terminal = isatty(STDIN_FILENO);
  std::vector<ChatMessage> messages;
  uint64_t id = 0;
  if (terminal)
    std::cerr << "Chat with " << printable(model.manifest().name) << ". Ctrl-C ends an answer, Ctrl-D the chat.\n";
  for (std::string line;;) {
    if (terminal)
      std::cerr << "> " << std::flush;
    if (!std::getline(std::cin, line))
      break;
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      continue;
    if (firstInvalidUtf8(line) != std::string::npos)
      throw Failure("the line just read is not UTF-8; set the terminal to UTF-8, or convert the input");
    messages.push_back({"user", line});
    Request request{++id, model.encodeChat(messages), options.sampling};
    Answer answer;
    try {
      answer = generate(session, std::move(request), /*stream=*/true);
    } catch (const std::invalid_argument &full) { // the engine says why it cannot take the prompt
      throw Failure(std::string(full.what()) + "; start a new chat, or one with a larger --context");
    }
    std::cout << "\n";
    if (terminal)
      printNote(answer, options.sampling.temperature > 0);
    messages.push_back({"assistant", answer.text});
  }
  if (terminal)
    std::cerr << "\n";
  return 0;
}

int run(RunOptions options) {
  ResolvedModel resolved = resolveModel(options.model);
  std::filesystem::path plan = planFor(resolved, options.ranks.target, options.ranks.kvType);
  auto start = Clock::now();
  ServedModel model = ServedModel::open(plan, resolved.name);
  if (!options.prompt && !model.hasChatTemplate())
    throw Failure(model.whyNoChat() + "; give a text to continue with --raw -p TEXT");
  if (!options.sampling.seed)
    options.sampling.seed = uint64_t(std::random_device()()) << 32 | std::random_device()();
  auto session = openSession(plan, options.ranks, options.memory, model.tokenizer());
  double loadSeconds = secondsSince(start);
  if (!options.prompt)
    return chat(options, model, *session);

  Answer answer =
      generate(*session, {1, model.encodePrompt(*options.prompt, options.raw), options.sampling}, /*stream=*/!options.json);
  if (options.json) {
    printJson(answer, model, options.sampling, loadSeconds);
  } else {
    std::cout << "\n";
    printNote(answer, options.sampling.temperature > 0);
  }
  if (answer.interrupted)
    throw Interrupted{};
  return 0;
}

} // namespace

void addRun(CLI::App &app, Action &action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App *command = app.add_subcommand("run", "Answer one prompt, or chat when there is no -p");
  addModelOption(*command, options->model);
  command
      ->add_option_function<std::string>(
          "-p,--prompt", [options](const std::string &text) { options->prompt = text; },
          "One user turn, put through the model's chat template if it has one")
      ->type_name("TEXT");
  addInteger(*command, "-n,--tokens", options->sampling.maxTokens, INT64_MIN, INT64_MAX, "Most tokens of an answer (default 256)")
      ->type_name("TOKENS");
  command->add_flag("--raw", options->raw, "Continue the text of -p as it is: no template, nothing added");
  addSamplingOptions(*command, options->sampling);
  addRankOptions(*command, options->ranks);
  addMemoryOptions(*command, options->memory);
  addTokenBudgetOption(*command, options->ranks.tokenBudget);
  addTargetOption(*command, options->ranks.target);
  addKvTypeOption(*command, options->ranks.kvType);
  addJsonOption(*command, options->json);
  command->callback([options, &action] {
    checkSampling(options->sampling);
    if (!options->prompt && (options->raw || options->json))
      throw UsageError("--raw and --json need a prompt: add -p TEXT");
    if (options->prompt && options->prompt->empty())
      throw UsageError("-p is empty; give a text, or leave -p out to chat");
    if (options->prompt && firstInvalidUtf8(*options->prompt) != std::string::npos)
      throw UsageError("-p is not UTF-8 at byte " + std::to_string(firstInvalidUtf8(*options->prompt)) + "; convert the text");
    action = [options] { return run(*options); };
  });
}

} // namespace heddle::tool
