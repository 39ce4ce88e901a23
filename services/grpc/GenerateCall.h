//===- GenerateCall.h - one stream of Generate ----------------------------------------------------------------------===//
#pragma once
#include "services/frontend/Admission.h"
#include "services/frontend/Dispatcher.h"
#include "services/frontend/TextWorkers.h"
#include <deque>
#include <grpcpp/grpcpp.h>

namespace heddle {

/// From the request's bytes to the end of its stream. gRPC and the dispatcher both hold it (it is a reactor of the one and a sink
/// of the other); it goes when gRPC is done with it and the dispatcher has let go. Its methods come on many threads; one mutex
/// guards all of its state. When the client leaves or its deadline passes, the request is cancelled in the engine.
class GenerateCall final : public grpc::ServerWriteReactor<grpc::ByteBuffer>, public RequestSink {
public:
  static GenerateCall *start(grpc::CallbackServerContext &context, const grpc::ByteBuffer &request, const ServedModel &model,
                             const Admission &admission, TextWorkers &texts, Dispatcher &dispatcher);

private:
  GenerateCall(grpc::CallbackServerContext &context, const ServedModel &model, Dispatcher &dispatcher)
      : context_(context), tokenizer_(model.tokenizer()), dispatcher_(dispatcher) {}
  void run(const grpc::ByteBuffer &request, const Admission &admission, TextWorkers &texts);
  void submit(std::variant<Request, grpc::Status> &&admitted);
  bool over();

  void onEvent(const Event &event) override;
  void onRejected(const std::string &reason) override;
  void onLost(const std::string &reason) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { self_.reset(); }

  void end(const grpc::Status &status);       // takes the lock
  void endLocked(const grpc::Status &status); // once; finishes when the queue has been written

  grpc::CallbackServerContext &context_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  Dispatcher &dispatcher_;
  std::shared_ptr<GenerateCall> self_;
  std::mutex mutex_;
  std::deque<grpc::ByteBuffer> outgoing_; // front: being written
  std::optional<grpc::Status> status_;    // set once the stream is over
  uint64_t request_ = 0;
  bool cancelled_ = false, withLogprobs_ = false;
};

} // namespace heddle
