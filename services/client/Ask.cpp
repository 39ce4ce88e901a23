//===- Ask.cpp -----------------------------------------------------------------------------------------------------===//
#include "services/client/Ask.h"
#include "services/address/Address.h"
#include <cstdlib>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <heddle/v1/inference.grpc.pb.h>
#include <iostream>
#include <nlohmann/json.hpp>

namespace heddle {
namespace {

const char *name(grpc::StatusCode code) {
  switch (code) {
  case grpc::StatusCode::CANCELLED:
    return "CANCELLED";
  case grpc::StatusCode::INVALID_ARGUMENT:
    return "INVALID_ARGUMENT";
  case grpc::StatusCode::DEADLINE_EXCEEDED:
    return "DEADLINE_EXCEEDED";
  case grpc::StatusCode::NOT_FOUND:
    return "NOT_FOUND";
  case grpc::StatusCode::RESOURCE_EXHAUSTED:
    return "RESOURCE_EXHAUSTED";
  case grpc::StatusCode::UNIMPLEMENTED:
    return "UNIMPLEMENTED";
  case grpc::StatusCode::INTERNAL:
    return "INTERNAL";
  case grpc::StatusCode::UNAVAILABLE:
    return "UNAVAILABLE";
  default:
    return "UNKNOWN";
  }
}

/// The words of DESIGN.md's `run --json`.
const char *name(v1::StopReason reason) {
  switch (reason) {
  case v1::STOP_REASON_MAX_TOKENS:
    return "max_tokens";
  case v1::STOP_REASON_END_OF_TEXT:
    return "end_of_text";
  case v1::STOP_REASON_STOP_STRING:
    return "stop_string";
  case v1::STOP_REASON_CONTEXT_FULL:
    return "context_full";
  default:
    return "unknown";
  }
}

v1::GenerateRequest requestFrom(const AskOptions &options) {
  v1::GenerateRequest request;
  request.set_model(options.model);
  request.set_prompt(options.prompt);
  request.set_raw(options.raw);
  v1::Sampling &sampling = *request.mutable_sampling();
  if (options.maxTokens)
    sampling.set_max_tokens(*options.maxTokens);
  if (options.temperature)
    sampling.set_temperature(*options.temperature);
  if (options.topK)
    sampling.set_top_k(*options.topK);
  if (options.topP)
    sampling.set_top_p(*options.topP);
  if (options.minP)
    sampling.set_min_p(*options.minP);
  if (options.repeatPenalty)
    sampling.set_repeat_penalty(*options.repeatPenalty);
  if (options.seed)
    sampling.set_seed(*options.seed);
  if (options.logprobs)
    sampling.set_logprobs(*options.logprobs);
  for (const std::string &stop : options.stop)
    sampling.add_stop(stop);
  return request;
}

nlohmann::json tokenJson(const v1::Token &token) {
  nlohmann::json out{{"id", token.id()}};
  if (token.has_logprob())
    out["logprob"] = token.logprob();
  for (const v1::Alternative &alternative : token.alternatives())
    out["alternatives"].push_back({{"id", alternative.id()}, {"logprob", alternative.logprob()}});
  return out;
}

void printJson(const std::string &text, const nlohmann::json &tokens, const v1::Finish &finish) {
  nlohmann::json out{{"text", text},
                     {"tokens", tokens},
                     {"stop", name(finish.reason())},
                     {"prompt_tokens", finish.usage().prompt_tokens()},
                     {"output_tokens", finish.usage().output_tokens()},
                     {"seed", finish.seed()}};
  if (finish.reason() == v1::STOP_REASON_STOP_STRING)
    out["stop_string"] = finish.stop_string();
  std::cout << out.dump() << std::endl;
}

/// A broken connection's message is a page of addresses; its cause is what helps.
std::string explain(const grpc::Status &status, const std::string &address) {
  std::string text = std::string(name(status.error_code())) + ": " + status.error_message();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && text.find("connect") != std::string::npos)
    return "UNAVAILABLE: no server at " + address + "; start one with heddle serve";
  return text;
}

} // namespace

int ask(const AskOptions &options) {
  if (!std::getenv("GRPC_VERBOSITY")) // gRPC's own lines would stand beside ours
    gpr_set_log_verbosity(static_cast<gpr_log_severity>(GPR_LOG_SEVERITY_ERROR + 1));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0); // a proxy for the web knows no server of ours
  auto channel = grpc::CreateCustomChannel(parseAddress(options.address).target(), grpc::InsecureChannelCredentials(), arguments);
  auto stub = v1::Inference::NewStub(channel);
  grpc::ClientContext context;
  if (options.timeout > 0)
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(static_cast<int64_t>(options.timeout * 1000)));
  auto stream = stub->Generate(&context, requestFrom(options));
  v1::GenerateResponse response;
  std::string text;
  nlohmann::json tokens = nlohmann::json::array();
  v1::Finish finish;
  struct Cancel { // also when standard output throws: the server need not go on for nobody
    grpc::ClientContext &context;
    ~Cancel() { context.TryCancel(); }
  } cancel{context};
  while (stream->Read(&response)) {
    if (response.has_finish())
      finish = response.finish();
    if (!options.json) {
      std::cout << response.text() << std::flush;
      text = response.text().empty() ? text : response.text(); // for the last line's end
      continue;
    }
    text += response.text();
    for (const v1::Token &token : response.tokens())
      tokens.push_back(tokenJson(token));
  }
  grpc::Status status = stream->Finish();
  if (!options.json && !text.empty() && text.back() != '\n')
    std::cout << std::endl;
  if (!status.ok()) {
    std::cerr << "heddle: " << explain(status, options.address) << std::endl;
    return 1;
  }
  if (options.json)
    printJson(text, tokens, finish);
  return 0;
}

} // namespace heddle
