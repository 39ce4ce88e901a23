//===- Serve.cpp - heddle serve: answer requests over gRPC ---------------------------------------------------------------===//
#include "services/frontend/Serve.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/Options.h"
#include "tools/heddle/Session.h"
#include <CLI/CLI.hpp>

namespace heddle::tool {
namespace {

struct ServeCommand {
  std::string model, grpc = ServeOptions().grpc;
  RankOptions ranks;
  MemoryOptions memory;
};

/// host:port, the port a number; the server itself finds out whether it can listen there.
void checkAddress(const std::string &address) {
  size_t colon = address.rfind(':');
  std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
  bool number = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
  if (colon == 0 || !number || std::stoi(port) > 65535)
    throw UsageError("--grpc: '" + address +
                     "' is no address; write HOST:PORT, such as 127.0.0.1:50051 (port 0 takes a free one)");
}

int serveModel(const ServeCommand &command) {
  ResolvedModel resolved = resolveModel(command.model);
  ServeOptions options;
  options.group = groupOptions(planFor(resolved, command.ranks.target, command.ranks.kvType), command.ranks, command.memory);
  options.grpc = command.grpc;
  return serve(options);
}

} // namespace

void addServe(CLI::App &app, Action &action) {
  auto options = std::make_shared<ServeCommand>();
  CLI::App *command = app.add_subcommand("serve", "Serve a model over gRPC, on one or more ranks, until SIGTERM or Ctrl-C");
  command->footer(
      "When requests are taken, one line on stdout says under which name and address. A worker group that dies is started\n"
      "again. The first SIGTERM or Ctrl-C lets running requests end, the second ends them.");
  addModelOption(*command, options->model);
  addRankOptions(*command, options->ranks);
  addMemoryOptions(*command, options->memory);
  command->add_option("--grpc", options->grpc, "Where to listen (default " + options->grpc + "); port 0 takes a free one")
      ->type_name("ADDR");
  addTargetOption(*command, options->ranks.target);
  addKvTypeOption(*command, options->ranks.kvType);
  command->callback([options, &action] {
    checkAddress(options->grpc);
    action = [options] { return serveModel(*options); };
  });
}

} // namespace heddle::tool
