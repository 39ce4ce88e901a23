//===- Ask.h - heddle ask -------------------------------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace heddle {

struct AskOptions {
  std::string address = "127.0.0.1:50051", prompt, model; // model empty: the one that is served
  bool raw = false;
  // Unset: the server's default.
  std::optional<int64_t> maxTokens, topK, logprobs;
  std::optional<double> temperature, topP, minP, repeatPenalty;
  std::optional<uint64_t> seed;
  std::vector<std::string> stop;
  bool json = false;  // one object at the end instead of text while it comes
  double timeout = 0; // seconds; 0: none
};

/// Asks a server and streams its answer to stdout. Returns the exit status; an error is one line on stderr with its gRPC status.
/// Throws what std::cout is set to throw (runtime/host/Output.h).
int ask(const AskOptions &options);

} // namespace heddle
