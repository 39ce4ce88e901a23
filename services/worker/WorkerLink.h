//===- WorkerLink.h - rank 0's end of the engine link ---------------------------------------------------------------===//
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <heddle/internal/engine_link.grpc.pb.h>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace heddle {

struct LinkError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Dials the frontend, says hello, and from then on sends a heartbeat every second until close(). Owns two threads: a reader,
/// which queues what the frontend sends, and the heartbeat. send() and take() belong to the engine's thread, stepBegins/stepEnds
/// too; loading the model is a step here. When the stream ends before close(), `lost` is called once on the reader's thread, also
/// while the engine's thread hangs in a step: the worker's main lets it end the process. A frontend that is silent is waited for.
class WorkerLink {
public:
  using Lost = std::function<void(const std::string &reason)>;
  /// `progress` counts up while the group works; it is called on the heartbeat's thread. Throws LinkError.
  using Progress = std::function<uint64_t()>;
  WorkerLink(const std::string &socket, const internal::Hello &hello, Lost lost, Progress progress = [] { return 0; });
  ~WorkerLink();
  WorkerLink(const WorkerLink &) = delete;

  void send(const internal::WorkerMessage &message);
  /// Everything that came since the last call; sleeps until there is something when `wait`.
  std::vector<internal::FrontendMessage> take(bool wait);
  void stepBegins();
  void stepEnds();
  /// Ends the stream in order; `lost` is not called any more.
  void close();

private:
  void read();
  void beat();

  Lost lost_;
  Progress progress_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<internal::EngineLink::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<internal::WorkerMessage, internal::FrontendMessage>> stream_;
  std::mutex writeMutex_; // the heartbeat writes too
  std::mutex mutex_;
  std::condition_variable arrived_, closed_;
  std::vector<internal::FrontendMessage> inbox_;
  bool closing_ = false, ended_ = false;
  std::atomic<uint64_t> steps_ = 0;
  std::atomic<bool> busy_ = false;       // in a step
  std::atomic<clockid_t> stepClock_ = 0; // CPU time of the thread that is in it
  std::thread reader_, heartbeat_;
};

} // namespace heddle
