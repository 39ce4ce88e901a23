//===- PublicServer.cpp --------------------------------------------------------------------------------------------===//
#include "services/grpc/PublicServer.h"
#include <cstdlib>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <mutex>
#include <stdexcept>

namespace heddle {

PublicServer::PublicServer(const std::string &address, InferenceService &inference, HealthService &health)
    : address_(address), health_(health) {
  static std::once_flag reflection; // a plugin is for the whole process
  std::call_once(reflection, grpc::reflection::InitProtoReflectionServerBuilderPlugin);
  if (!std::getenv("GRPC_VERBOSITY")) // a port that is taken would print a page beside our line
    gpr_set_log_verbosity(static_cast<gpr_log_severity>(GPR_LOG_SEVERITY_ERROR + 1));
  grpc::ServerBuilder builder;
  // gRPC would let two servers share a port, and each client would meet one of them by chance.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&inference);
  builder.RegisterService(&health);
  server_ = builder.BuildAndStart();
  if (!server_ || port == 0)
    throw std::runtime_error("cannot listen on " + address +
                             "; is it host:port, and is no other server there? Choose another with --grpc");
  if (size_t colon = address_.rfind(':'); port > 1 && colon != std::string::npos && !address_.starts_with("unix:"))
    address_ = address_.substr(0, colon + 1) + std::to_string(port);
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
