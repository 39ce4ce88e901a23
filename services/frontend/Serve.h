//===- Serve.h - heddle serve ---------------------------------------------------------------------------------------===//
#pragma once
#include "services/frontend/GroupOptions.h"
#include "services/frontend/ServedModel.h"

namespace heddle {

struct ServeOptions {
  GroupOptions group;
  std::vector<std::string> names;             // the model's name, then further ones; none: the plan's own
  std::string grpc = "127.0.0.1:50051";       // services/address/Address.h; port 0 takes a free one
  size_t queueLimit = 256;                    // requests that may wait for their first event
  std::chrono::milliseconds grace{30000};     // for running requests after SIGTERM; a second signal ends it
  std::chrono::milliseconds keepAlive{60000}; // services/grpc/PublicServer.h
};

/// Serves until SIGTERM or SIGINT, drains, leaves no process behind. Prints "serving NAME on ADDRESS with R ranks" to stdout once
/// requests are taken, control characters in the name escaped, and notes to stderr (Log.h). Returns the exit status, having said
/// in one line what was wrong. Call it from a program's main thread before it has other threads: the two signals are blocked for
/// those it starts.
int serve(const ServeOptions &options);
int serve(const ServeOptions &options, const ServedModel &model); // with a model that is open already, by its own name

} // namespace heddle
