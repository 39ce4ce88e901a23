//===- FakeServe.cpp - heddle serve over the fake worker ------------------------------------------------------------===//
//
// fake_serve NAME=VALUE…: plan, worker, ranks, grpc, queue, grace_ms, stopped_ms, stall_ms, keepalive_ms, budget, alias, log,
// mpirun.
//===---------------------------------------------------------------------------------------------------------------===//
#include "services/frontend/Log.h"
#include "services/frontend/Serve.h"
#include "tests/unit/services/TinyModel.h"
#include <map>

int main(int argc, char **argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    given[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  auto number = [&](const char *name, int64_t fallback) { return given.contains(name) ? std::stoll(given[name]) : fallback; };
  heddle::ServeOptions options;
  options.group.plan = given["plan"];
  options.group.worker = given["worker"];
  options.group.ranks = number("ranks", 2);
  options.group.threads = 1;
  options.group.stoppedLimit = std::chrono::milliseconds(number("stopped_ms", 5000));
  options.group.stallLimit = std::chrono::milliseconds(number("stall_ms", 120000));
  if (given.contains("mpirun"))
    options.group.mpirun = given["mpirun"];
  options.grpc = given.contains("grpc") ? given["grpc"] : "127.0.0.1:0";
  options.queueLimit = static_cast<size_t>(number("queue", 256));
  options.grace = std::chrono::milliseconds(number("grace_ms", 30000));
  options.keepAlive = std::chrono::milliseconds(number("keepalive_ms", 60000));
  options.group.tokenBudget = number("budget", 0);
  if (given.contains("alias"))
    options.names = {"tiny", given["alias"]};
  if (given.contains("log"))
    heddle::setLogLevel(heddle::logLevelByName(given["log"]).value());
  return heddle::serve(options, heddle::test::tinyModel("tiny-plan-key"));
}
