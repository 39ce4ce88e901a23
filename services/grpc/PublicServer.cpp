//===- PublicServer.cpp --------------------------------------------------------------------------------------------===//
#include "services/grpc/PublicServer.h"
#include "services/grpc/Listening.h"
#include <algorithm>
#include <cstdlib>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <mutex>
#include <stdexcept>

namespace heddle {
namespace {

/// What the largest legal request needs: gRPC's usual 4 MiB, and more where a context is so large that its token ids need it.
int largestMessage(int64_t context) { return static_cast<int>(std::clamp<int64_t>(8 * context, 4 << 20, 256 << 20)); }

void allowPings(grpc::ServerBuilder &builder, std::chrono::milliseconds keepAlive) {
  int time = static_cast<int>(keepAlive.count());
  // Many clients ping every few seconds while a long prompt is read. gRPC would take the third ping in five minutes for an
  // attack.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Our own, for clients that vanished: nothing is sent while a long prompt is read, so nothing else would show it.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, time);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, time / 2);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_SENT_PING_INTERVAL_WITHOUT_DATA_MS, time / 2);
}

} // namespace

PublicServer::PublicServer(const EndpointOptions &options, InferenceService &inference, HealthService &health) : health_(health) {
  static std::once_flag reflection; // a plugin is for the whole process
  std::call_once(reflection, grpc::reflection::InitProtoReflectionServerBuilderPlugin);
  if (!std::getenv("GRPC_VERBOSITY")) // a port that is taken would print a page beside our line
    gpr_set_log_verbosity(static_cast<gpr_log_severity>(GPR_LOG_SEVERITY_ERROR + 1));
  Address wanted = parseAddress(options.address);
  Listening listening = listeningOn(wanted);
  grpc::ServerBuilder builder;
  // gRPC would let two servers share a port, and each client would meet one of them by chance.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  allowPings(builder, options.keepAlive);
  builder.SetMaxReceiveMessageSize(largestMessage(options.context));
  std::vector<int> ports(listening.binds.size());
  for (size_t i = 0; i < ports.size(); ++i)
    builder.AddListeningPort(listening.binds[i], grpc::InsecureServerCredentials(), &ports[i]);
  builder.RegisterService(&inference);
  builder.RegisterService(&health);
  server_ = builder.BuildAndStart();
  if (!server_ || std::ranges::find(ports, 0) != ports.end()) {
    std::string reason = whyNot(wanted);
    throw std::runtime_error("cannot listen on " + wanted.text() + (reason.empty() ? "" : ": " + reason) +
                             "; choose another address with --grpc");
  }
  if (wanted.kind == Address::Kind::Tcp)
    listening.dial.port = ports.front();
  address_ = listening.dial.text();
  everywhere_ = listening.everywhere;
}

PublicServer::~PublicServer() { shutDown(); }

void PublicServer::shutDown() {
  if (!server_)
    return;
  health_.shutDown();
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  server_->Wait();
  server_.reset();
}

} // namespace heddle
