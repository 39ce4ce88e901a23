//===- InferenceService.h - heddle.v1.Inference ---------------------------------------------------------------------===//
#pragma once
#include "services/frontend/Admission.h"
#include "services/frontend/Dispatcher.h"
#include "services/frontend/TextWorkers.h"
#include <heddle/v1/inference.grpc.pb.h>

namespace heddle {

/// The calls over admission and dispatcher, by gRPC's callback API: no thread waits for a request, and large texts are worked on
/// by `texts`. Requests are read by services/grpc/Wire.h, hence the raw methods. Borrows everything; must outlive its server.
class InferenceService final : public v1::Inference::WithRawCallbackMethod_Generate<
                                   v1::Inference::WithRawCallbackMethod_Tokenize<v1::Inference::WithRawCallbackMethod_Detokenize<
                                       v1::Inference::WithRawCallbackMethod_GetModel<v1::Inference::Service>>>> {
public:
  InferenceService(const ServedModel &model, const Admission &admission, TextWorkers &texts, Dispatcher &dispatcher,
                   const Supervisor &supervisor, int64_t ranks)
      : model_(model), admission_(admission), texts_(texts), dispatcher_(dispatcher), supervisor_(supervisor), ranks_(ranks) {}

  grpc::ServerWriteReactor<grpc::ByteBuffer> *Generate(grpc::CallbackServerContext *context,
                                                       const grpc::ByteBuffer *request) override;
  grpc::ServerUnaryReactor *Tokenize(grpc::CallbackServerContext *context, const grpc::ByteBuffer *request,
                                     grpc::ByteBuffer *response) override;
  grpc::ServerUnaryReactor *Detokenize(grpc::CallbackServerContext *context, const grpc::ByteBuffer *request,
                                       grpc::ByteBuffer *response) override;
  grpc::ServerUnaryReactor *GetModel(grpc::CallbackServerContext *context, const grpc::ByteBuffer *request,
                                     grpc::ByteBuffer *response) override;

private:
  using Answer = std::function<grpc::Status(grpc::ByteBuffer &response)>;
  grpc::ServerUnaryReactor *answer(grpc::CallbackServerContext *context, size_t bytes, Answer make, grpc::ByteBuffer *response);
  grpc::Status tokenize(const v1::TokenizeRequest &request, grpc::ByteBuffer &response) const;
  grpc::Status checkIds(const v1::DetokenizeRequest &request) const;
  grpc::Status detokenize(const v1::DetokenizeRequest &request, grpc::ByteBuffer &response) const;
  grpc::Status describe(const grpc::ByteBuffer &request, grpc::ByteBuffer &response) const;

  const ServedModel &model_;
  const Admission &admission_;
  TextWorkers &texts_;
  Dispatcher &dispatcher_;
  const Supervisor &supervisor_;
  const int64_t ranks_;
};

} // namespace heddle
