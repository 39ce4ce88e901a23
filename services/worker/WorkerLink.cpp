//===- WorkerLink.cpp ----------------------------------------------------------------------------------------------===//
#include "services/worker/WorkerLink.h"
#include <chrono>
#include <grpcpp/grpcpp.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

namespace heddle {
namespace {

constexpr auto kHeartbeat = std::chrono::seconds(1);

/// Waits as long as the frontend listens: its machine may be slow, or stopped. Its end is ours by way of mpirun.
void connect(grpc::Channel &channel, const std::string &socket) {
  while (!channel.WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5)))
    if (access(socket.c_str(), F_OK) != 0)
      throw LinkError("cannot reach the frontend at " + socket +
                      "; rank 0 must run on the frontend's host: name it first in the hostfile");
}

} // namespace

WorkerLink::WorkerLink(const std::string &socket, const internal::Hello &hello, Lost lost, Progress progress)
    : lost_(std::move(lost)), progress_(std::move(progress)) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  channel_ = grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
  connect(*channel_, socket);
  stub_ = internal::EngineLink::NewStub(channel_);
  stream_ = stub_->Attach(&context_);
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

void WorkerLink::stepBegins() {
  clockid_t clock = CLOCK_THREAD_CPUTIME_ID;
  pthread_getcpuclockid(pthread_self(), &clock);
  stepClock_ = clock;
  busy_ = true;
}

void WorkerLink::stepEnds() {
  busy_ = false;
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
  lost_(refused ? status.error_message() : "lost the frontend (" + status.error_message() + ")");
}

void WorkerLink::beat() {
  std::unique_lock lock(mutex_);
  while (!closed_.wait_for(lock, kHeartbeat, [this] { return closing_ || ended_; })) {
    lock.unlock();
    internal::WorkerMessage message;
    internal::WorkerHeartbeat &beat = *message.mutable_heartbeat();
    beat.set_progress(progress_() + steps_);
    beat.set_busy(busy_);
    if (timespec used{}; busy_ && clock_gettime(stepClock_, &used) == 0)
      beat.set_cpu_nanoseconds(used.tv_sec * 1'000'000'000 + used.tv_nsec);
    send(message);
    lock.lock();
  }
}

} // namespace heddle
