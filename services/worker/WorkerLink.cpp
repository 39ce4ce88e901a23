//===- WorkerLink.cpp ----------------------------------------------------------------------------------------------===//
#include "services/worker/WorkerLink.h"
#include "services/link/Messages.h"
#include <chrono>
#include <grpcpp/grpcpp.h>

namespace heddle {
namespace {

int64_t now() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

} // namespace

WorkerLink::WorkerLink(const std::string &socket, const internal::Hello &hello, Lost lost) : lost_(std::move(lost)) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  channel_ = grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
  if (!channel_->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5)))
    throw LinkError("cannot reach the frontend at " + socket +
                    "; rank 0 must run on the frontend's host: name it first in the hostfile");
  stub_ = internal::EngineLink::NewStub(channel_);
  stream_ = stub_->Attach(&context_);
  heard_ = now();
  internal::WorkerMessage first;
  *first.mutable_hello() = hello;
  stream_->Write(first); // a refusal shows in the reader, with its reason
  reader_ = std::thread([this] { read(); });
  heartbeat_ = std::thread([this] { beat(); });
}

WorkerLink::~WorkerLink() {
  close();
  reader_.join();
  heartbeat_.join();
}

void WorkerLink::send(const internal::WorkerMessage &message) {
  std::lock_guard lock(writeMutex_);
  stream_->Write(message); // a broken stream shows in the reader
}

std::vector<internal::FrontendMessage> WorkerLink::take(bool wait) {
  std::unique_lock lock(mutex_);
  if (wait)
    arrived_.wait(lock, [this] { return !inbox_.empty() || ended_; });
  return std::exchange(inbox_, {});
}

void WorkerLink::stepBegins() { stepStart_ = now(); }

void WorkerLink::stepEnds() {
  stepStart_ = 0;
  ++steps_;
}

void WorkerLink::close() {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(closing_, true))
      return;
  }
  closed_.notify_all();
  std::lock_guard lock(writeMutex_);
  stream_->WritesDone();
}

void WorkerLink::read() {
  internal::FrontendMessage message;
  while (stream_->Read(&message)) {
    heard_ = now();
    if (message.has_heartbeat())
      continue;
    std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(message));
    arrived_.notify_one();
  }
  grpc::Status status = stream_->Finish();
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    arrived_.notify_one();
    if (closing_)
      return;
  }
  bool refused = status.error_code() == grpc::StatusCode::FAILED_PRECONDITION;
  loseOnce(refused ? status.error_message() : "lost the frontend (" + status.error_message() + ")");
}

void WorkerLink::beat() {
  std::unique_lock lock(mutex_);
  while (!closed_.wait_for(lock, std::chrono::milliseconds(kHeartbeatMilliseconds), [this] { return closing_ || ended_; })) {
    lock.unlock();
    int64_t start = stepStart_, time = now();
    if (time - heard_ > kFrontendSilenceMilliseconds)
      return loseOnce("the frontend was silent for " + std::to_string((time - heard_) / 1000) + " s");
    internal::WorkerMessage message;
    message.mutable_heartbeat()->set_steps(steps_);
    message.mutable_heartbeat()->set_step_milliseconds(start ? std::max<int64_t>(time - start, 1) : 0);
    send(message);
    lock.lock();
  }
}

void WorkerLink::loseOnce(const std::string &reason) {
  if (!reported_.exchange(true))
    lost_(reason);
}

} // namespace heddle
