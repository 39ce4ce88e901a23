//===- Serve.cpp ---------------------------------------------------------------------------------------------------===//
#include "services/frontend/Serve.h"
#include "runtime/comm/Host.h"
#include "runtime/host/Output.h"
#include "runtime/text/Utf8.h"
#include "services/frontend/Log.h"
#include "services/grpc/PublicServer.h"
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <pthread.h>
#include <set>
#include <sys/prctl.h>
#include <thread>

namespace heddle {
namespace {

std::vector<std::string> otherNames(const ServeOptions &options) {
  return {options.names.begin() + (options.names.empty() ? 0 : 1), options.names.end()};
}

std::set<std::string> healthNames(const ServeOptions &options, const ServedModel &model) {
  std::set<std::string> names = {"", "heddle.v1.Inference", model.manifest().name};
  names.insert(options.names.begin(), options.names.end());
  return names;
}

sigset_t endSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

/// The parts of a frontend in the order in which they need one another. run() is the main thread's; state changes come on the
/// supervisor's thread.
class Server {
public:
  Server(const ServeOptions &options, const ServedModel &model)
      : options_(options), model_(model), admission_(model, model.context(options.group.context), otherNames(options)),
        health_(healthNames(options, model)),
        dispatcher_(options.queueLimit, [this](auto state, const auto &reason) { changed(state, reason); }),
        supervisor_(options.group, model.manifest().key, /*relaunch=*/true, dispatcher_),
        inference_(model, admission_, texts_, dispatcher_, supervisor_, options.group.ranks),
        endpoint_({options.grpc, admission_.context(), options.keepAlive}, inference_, health_) {
    dispatcher_.attach([this](const auto &message) { return supervisor_.send(message); });
  }

  int run() {
    main_ = pthread_self();
    sigset_t set = endSignals();
    supervisor_.start();
    int signal = 0;
    while (sigwait(&set, &signal) != 0) {
    }
    std::thread impatience;
    if (!failed_) {
      log(LogLevel::Info, "stopping: " + std::to_string(dispatcher_.active()) + " requests may finish within " +
                              std::to_string(options_.grace.count() / 1000) + " s; a second signal ends them");
      impatience = std::thread([this] { waitForSecondSignal(); });
    }
    dispatcher_.drain(options_.grace);
    drained_ = true;
    if (impatience.joinable()) {
      pthread_kill(impatience.native_handle(), SIGTERM);
      impatience.join();
    }
    supervisor_.stop();
    texts_.stop();
    endpoint_.shutDown();
    return failed_ || unsaid_ ? 1 : 0;
  }

private:
  void waitForSecondSignal() {
    sigset_t set = endSignals();
    int signal = 0;
    sigwait(&set, &signal);
    if (!drained_)
      dispatcher_.hurry();
  }

  void noteReach() {
    if (endpoint_.everywhere())
      log(LogLevel::Info, "listening on all interfaces, without encryption or passwords; other hosts dial " + hostName() +
                              endpoint_.address().substr(endpoint_.address().rfind(':')));
  }

  void noteMemory() {
    double bytes = 0; // of a token
    std::string types;
    for (const StateEntry &kv : model_.manifest().states) {
      if (kv.kind != StateKind::Paged)
        continue;
      bytes += static_cast<double>(kv.layers * kv.kvHeads * headPageBytes(kv.headDim, kv.type)) / kPageTokens;
      if (std::string type(kvTypeName(kv.type)); types.find(type) == std::string::npos)
        types += (types.empty() ? "" : " and ") + type;
    }
    char text[200];
    std::snprintf(
        text, sizeof text,
        "%lld thread%s a rank; the KV cache holds %lld tokens in %s, %.0f MiB over all ranks; one request up to %lld tokens",
        static_cast<long long>(dispatcher_.threads()), dispatcher_.threads() == 1 ? "" : "s",
        static_cast<long long>(dispatcher_.cachedTokens()), types.c_str(),
        bytes * static_cast<double>(dispatcher_.cachedTokens()) / (1 << 20), static_cast<long long>(dispatcher_.context()));
    log(LogLevel::Info, text);
  }

  /// The line on stdout. Where it cannot be written there is a server all the same.
  void announce(const std::string &line) {
    try {
      std::cout << line << std::endl;
    } catch (const OutputError &error) {
      log(LogLevel::Error, std::string(error.what()) + "; " + line);
      unsaid_ = error.error != EPIPE;
    }
  }

  void changed(Dispatcher::State state, const std::string &reason) {
    if (state == Dispatcher::State::Serving)
      admission_.setContext(dispatcher_.context());
    health_.set(state == Dispatcher::State::Serving);
    switch (state) {
    case Dispatcher::State::Serving:
      if (announced_) {
        log(LogLevel::Info, "the worker group is back");
      } else {
        announce("serving " + printable(model_.manifest().name) + " on " + endpoint_.address() + " with " +
                 std::to_string(options_.group.ranks) + " rank" + (options_.group.ranks == 1 ? "" : "s"));
        noteReach();
        noteMemory();
      }
      announced_ = true;
      break;
    case Dispatcher::State::Forming:
      log(LogLevel::Warning, "the worker group ended (" + reason + "); restarting it");
      break;
    case Dispatcher::State::Failed:
      log(LogLevel::Error, reason);
      failed_ = true;
      pthread_kill(main_, SIGTERM);
      break;
    case Dispatcher::State::Draining:
      break;
    }
  }

  const ServeOptions &options_;
  const ServedModel &model_;
  Admission admission_;
  HealthService health_;
  Dispatcher dispatcher_;
  Supervisor supervisor_;
  TextWorkers texts_;
  InferenceService inference_;
  PublicServer endpoint_;
  pthread_t main_{};
  bool announced_ = false; // supervisor's thread
  std::atomic<bool> unsaid_ = false;
  std::atomic<bool> failed_ = false, drained_ = false;
};

} // namespace

int serve(const ServeOptions &options, const ServedModel &model) {
  try {
    checkGroupOptions(options.group);
    if (options.group.context > model.manifest().context)
      throw GroupError("--context " + std::to_string(options.group.context) + " is more than " +
                       printable(model.manifest().name) + " has (" + std::to_string(model.manifest().context) + ")");
    // Before gRPC or we start a thread, which would take the signal and die of it; cleared again for the workers.
    sigset_t set = endSignals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);    // a reader of our notes that goes away is no reason to end
    prctl(PR_SET_CHILD_SUBREAPER, 1); // ranks that outlive a killed mpirun become ours to reap
    return Server(options, model).run();
  } catch (const std::exception &error) {
    log(LogLevel::Error, error.what());
    return 1;
  }
}

int serve(const ServeOptions &options) {
  try {
    return serve(options, ServedModel::open(options.group.plan, options.names.empty() ? std::string() : options.names.front()));
  } catch (const std::exception &error) {
    log(LogLevel::Error, error.what());
    return 1;
  }
}

} // namespace heddle
