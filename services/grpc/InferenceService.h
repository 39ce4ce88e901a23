//===- InferenceService.h - heddle.v1.Inference ---------------------------------------------------------------------===//
#pragma once
#include "services/frontend/Admission.h"
#include "services/frontend/Dispatcher.h"
#include <heddle/v1/inference.grpc.pb.h>

namespace heddle {

/// The three calls over admission and dispatcher, by gRPC's callback API: no thread waits for a request. Requests are read by
/// services/grpc/Wire.h, hence the raw methods. Borrows everything; must outlive its server.
class InferenceService final
    : public v1::Inference::WithRawCallbackMethod_Generate<
          v1::Inference::WithRawCallbackMethod_Tokenize<v1::Inference::WithRawCallbackMethod_GetModel<v1::Inference::Service>>> {
public:
  InferenceService(const ServedModel &model, const Admission &admission, Dispatcher &dispatcher, const Supervisor &supervisor,
                   int64_t ranks)
      : model_(model), admission_(admission), dispatcher_(dispatcher), supervisor_(supervisor), ranks_(ranks) {}

  grpc::ServerWriteReactor<grpc::ByteBuffer> *Generate(grpc::CallbackServerContext *context,
                                                       const grpc::ByteBuffer *request) override;
  grpc::ServerUnaryReactor *Tokenize(grpc::CallbackServerContext *context, const grpc::ByteBuffer *request,
                                     grpc::ByteBuffer *response) override;
  grpc::ServerUnaryReactor *GetModel(grpc::CallbackServerContext *context, const grpc::ByteBuffer *request,
                                     grpc::ByteBuffer *response) override;

private:
  grpc::Status tokenize(const grpc::ByteBuffer &request, grpc::ByteBuffer &response) const;
  grpc::Status describe(const grpc::ByteBuffer &request, grpc::ByteBuffer &response) const;

  const ServedModel &model_;
  const Admission &admission_;
  Dispatcher &dispatcher_;
  const Supervisor &supervisor_;
  const int64_t ranks_;
};

} // namespace heddle
