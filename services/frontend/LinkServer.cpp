//===- LinkServer.cpp ----------------------------------------------------------------------------------------------===//
#include "services/frontend/LinkServer.h"
#include "services/frontend/GroupOptions.h"
#include <deque>
#include <sys/stat.h>

namespace heddle {

/// One attached worker. Keeps itself alive until gRPC is done with it.
class LinkServer::Session final : public grpc::ServerBidiReactor<internal::WorkerMessage, internal::FrontendMessage> {
public:
  explicit Session(LinkServer &server) : server_(server) {}

  void start(std::shared_ptr<Session> self) {
    self_ = std::move(self);
    StartRead(&incoming_);
  }

  uint64_t epoch() const { return epoch_; }

  void send(const internal::FrontendMessage &message) {
    std::lock_guard lock(mutex_);
    if (finished_)
      return;
    outgoing_.push_back(message);
    if (outgoing_.size() == 1)
      StartWrite(&outgoing_.front());
  }

  void finish(const grpc::Status &status) {
    std::lock_guard lock(mutex_);
    if (std::exchange(finished_, true))
      return;
    status_ = status;
    if (outgoing_.empty())
      Finish(status_);
  }

private:
  void OnReadDone(bool ok) override {
    if (!ok) {
      server_.ended(self_);
      return finish(grpc::Status::OK);
    }
    if (epoch_ == 0) {
      std::string refusal = incoming_.has_hello() ? server_.admit(self_, incoming_.hello()) : "the first message must be a hello";
      if (!refusal.empty())
        return finish({grpc::StatusCode::FAILED_PRECONDITION, refusal});
    } else {
      server_.handler_.received(epoch_, std::move(incoming_));
    }
    incoming_.Clear();
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    outgoing_.pop_front();
    if (finished_)
      Finish(status_); // at most one write was on its way, and none starts after it
    else if (ok && !outgoing_.empty())
      StartWrite(&outgoing_.front());
    else if (!ok)
      outgoing_.clear(); // the broken stream shows in OnReadDone
  }

  void OnCancel() override {
    server_.ended(self_);
    finish(grpc::Status::CANCELLED);
  }

  void OnDone() override { self_.reset(); }

  friend class LinkServer;
  LinkServer &server_;
  std::shared_ptr<Session> self_;
  internal::WorkerMessage incoming_;
  uint64_t epoch_ = 0; // of the hello; set once, before the session is seen by others
  std::mutex mutex_;
  std::deque<internal::FrontendMessage> outgoing_; // front: being written
  bool finished_ = false;
  grpc::Status status_;
};

LinkServer::LinkServer(const std::string &socket, Handler &handler) : handler_(handler) {
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  // The directory is 0700 already; the mode says the same to whoever looks.
  if (!server_ || chmod(socket.c_str(), 0600) != 0)
    throw GroupError("cannot listen for workers on " + socket + "; is its directory writable?");
}

LinkServer::~LinkServer() {
  drop();
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  server_->Wait();
}

grpc::ServerBidiReactor<internal::WorkerMessage, internal::FrontendMessage> *LinkServer::Attach(grpc::CallbackServerContext *) {
  auto session = std::make_shared<Session>(*this);
  session->start(session);
  return session.get();
}

std::string LinkServer::admit(const std::shared_ptr<Session> &session, const internal::Hello &hello) {
  {
    std::lock_guard lock(mutex_);
    if (hello.epoch() != expected_ || hello.epoch() == 0)
      return "epoch " + std::to_string(hello.epoch()) + " is over, the frontend waits for epoch " + std::to_string(expected_);
    if (session_)
      return "epoch " + std::to_string(hello.epoch()) + " has a rank 0 already";
  }
  std::string refusal = handler_.hello(hello);
  if (!refusal.empty())
    return refusal;
  std::lock_guard lock(mutex_);
  if (hello.epoch() != expected_ || session_)
    return "epoch " + std::to_string(hello.epoch()) + " is over";
  session->epoch_ = hello.epoch();
  session_ = session;
  return {};
}

void LinkServer::ended(const std::shared_ptr<Session> &session) {
  {
    std::lock_guard lock(mutex_);
    if (!session || session_ != session)
      return;
    session_.reset();
  }
  handler_.lost(session->epoch());
}

void LinkServer::expect(uint64_t epoch) {
  std::lock_guard lock(mutex_);
  expected_ = epoch;
}

bool LinkServer::send(const internal::FrontendMessage &message) {
  std::lock_guard lock(mutex_);
  if (!session_)
    return false;
  session_->send(message);
  return true;
}

void LinkServer::drop() {
  std::shared_ptr<Session> session;
  {
    std::lock_guard lock(mutex_);
    session = std::exchange(session_, nullptr);
  }
  if (session)
    session->finish(grpc::Status::CANCELLED);
}

} // namespace heddle
