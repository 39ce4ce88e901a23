//===- Serve.cpp - heddle serve: answer requests over gRPC ---------------------------------------------------------------===//
#include "services/frontend/Serve.h"
#include "services/address/Address.h"
#include "services/frontend/Log.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/Numbers.h"
#include "tools/heddle/Options.h"
#include "tools/heddle/Session.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

namespace heddle::tool {
namespace {

struct ServeCommand {
  std::string model, grpc = ServeOptions().grpc, logLevel = "info";
  std::vector<std::string> names;
  int64_t queue = int64_t(ServeOptions().queueLimit);
  double grace = std::chrono::duration<double>(ServeOptions().grace).count();
  RankOptions ranks;
  MemoryOptions memory;
};

void checkAddress(const std::string &address) {
  try {
    parseAddress(address);
  } catch (const std::invalid_argument &error) {
    throw UsageError("--grpc: " + std::string(error.what()) + " (port 0 takes a free one)");
  }
}

void checkNames(const std::vector<std::string> &names) {
  for (const std::string &name : names) {
    if (name.empty())
      throw UsageError("--served-name is empty; give the name that clients will ask for");
    bool control = std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
    if (control || firstInvalidUtf8(name) != std::string::npos)
      throw UsageError("--served-name must be UTF-8 without control characters");
  }
}

int serveModel(const ServeCommand &command) {
  ResolvedModel resolved = resolveModel(command.model);
  ServeOptions options;
  options.group = groupOptions(planFor(resolved, {command.ranks.target, command.ranks.kvType, command.ranks.quantize}),
                               command.ranks, command.memory);
  options.names = command.names.empty() ? std::vector{resolved.name} : command.names;
  options.grpc = command.grpc;
  options.queueLimit = size_t(command.queue);
  options.grace = std::chrono::milliseconds(int64_t(std::llround(command.grace * 1000)));
  setLogLevel(*logLevelByName(command.logLevel));
  return serve(options);
}

} // namespace

void addServe(CLI::App &app, Action &action) {
  auto options = std::make_shared<ServeCommand>();
  CLI::App *command = app.add_subcommand("serve", "Serve a model over gRPC, on one or more ranks, until SIGTERM or Ctrl-C");
  command->footer(
      "When requests are taken, one line on stdout says under which name and address. A worker group that dies is started\n"
      "again. The first SIGTERM or Ctrl-C lets running requests end within --grace, the second ends them.");
  addModelOption(*command, options->model);
  addRankOptions(*command, options->ranks);
  addMemoryOptions(*command, options->memory);
  addTokenBudgetOption(*command, options->ranks.tokenBudget);
  command
      ->add_option("--grpc", options->grpc,
                   "Where to listen: HOST:PORT (default " + options->grpc +
                       "; port 0 takes a free one, host 0.0.0.0 all interfaces) or unix:PATH")
      ->type_name("ADDR");
  command
      ->add_option("--served-name", options->names,
                   "Name that clients ask for (default: MODEL's); given several times, the others are names too")
      ->type_name("NAME")
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args(false);
  addInteger(*command, "--queue", options->queue, int64_t(1), int64_t(1'000'000),
             "Requests that may wait for their first token (default " + std::to_string(options->queue) +
                 "); more are refused with RESOURCE_EXHAUSTED")
      ->type_name("N");
  addReal(*command, "--grace", options->grace, "Time that running requests have after SIGTERM or Ctrl-C (default 30)", 0, 86400)
      ->type_name("SECONDS");
  command
      ->add_option("--log-level", options->logLevel,
                   "What stderr tells: error, warning, info (default), or debug with a line for each request")
      ->check(oneOf({"error", "warning", "info", "debug"}))
      ->type_name("LEVEL");
  addTargetOption(*command, options->ranks.target);
  addKvTypeOption(*command, options->ranks.kvType);
  addQuantizeOption(*command, options->ranks.quantize);
  command->callback([options, &action] {
    checkAddress(options->grpc);
    checkNames(options->names);
    action = [options] { return serveModel(*options); };
  });
}

} // namespace heddle::tool
