//===- LinkServer.h - the frontend's end of the engine link ---------------------------------------------------------===//
#pragma once
#include <functional>
#include <grpcpp/grpcpp.h>
#include <heddle/internal/engine_link.grpc.pb.h>
#include <memory>
#include <mutex>
#include <string>

namespace heddle {

/// Listens on a Unix socket of mode 0600 for the rank 0 of the epoch that is expected, and holds at most one session. Any thread
/// may call; the handler is called on gRPC's threads without a lock held, one message of a session at a time. A session that was
/// dropped gives nothing more, except for a message that was on its way to the handler at that moment.
class LinkServer final : private internal::EngineLink::CallbackService {
public:
  struct Handler {
    virtual ~Handler() = default;
    /// Why this worker is refused; empty takes it.
    virtual std::string hello(const internal::Hello &hello) = 0;
    virtual void received(uint64_t epoch, internal::WorkerMessage &&message) = 0;
    /// The session ended, and not by drop().
    virtual void lost(uint64_t epoch) = 0;
  };

  LinkServer(const std::string &socket, Handler &handler); // throws GroupError
  ~LinkServer();

  /// From now on only a hello of this epoch is taken.
  void expect(uint64_t epoch);
  /// Queues a message; false when there is no session.
  bool send(const internal::FrontendMessage &message);
  /// Ends the session, if there is one.
  void drop();

private:
  class Session;
  grpc::ServerBidiReactor<internal::WorkerMessage, internal::FrontendMessage> *Attach(grpc::CallbackServerContext *) override;
  std::string admit(const std::shared_ptr<Session> &session, const internal::Hello &hello);
  void ended(const std::shared_ptr<Session> &session);

  Handler &handler_;
  std::mutex mutex_;
  uint64_t expected_ = 0;
  std::shared_ptr<Session> session_;
  std::unique_ptr<grpc::Server> server_;
};

} // namespace heddle
