//===- WorkerLoop.cpp ----------------------------------------------------------------------------------------------===//
#include "services/worker/WorkerLoop.h"
#include "services/link/Messages.h"
#include "services/worker/Bench.h"

namespace heddle {
namespace {

class Loop {
public:
  Loop(EngineLike &engine, WorkerLink &link) : engine_(engine), link_(link) {}

  void run() {
    for (;;) {
      bool idle = engine_.idle();
      std::vector<internal::FrontendMessage> messages = link_.take(/*wait=*/idle);
      if (idle && messages.empty())
        return; // the link has ended
      for (const internal::FrontendMessage &message : messages)
        if (!handle(message))
          return;
      if (!engine_.idle())
        step();
    }
  }

private:
  bool handle(const internal::FrontendMessage &message) {
    switch (message.kind_case()) {
    case internal::FrontendMessage::kSubmit:
      submit(message.submit());
      return true;
    case internal::FrontendMessage::kCancel:
      engine_.cancel(message.cancel().request());
      return true;
    case internal::FrontendMessage::kEvaluate:
      evaluate(message.evaluate());
      return true;
    case internal::FrontendMessage::kBench:
      bench(message.bench());
      return true;
    case internal::FrontendMessage::kCall:
      call(message.call());
      return true;
    case internal::FrontendMessage::kStop:
      return false;
    default:
      return true; // nothing else comes: the link's two ends are one build
    }
  }

  void submit(const internal::Submit &submit) {
    try {
      engine_.submit(fromProto(submit));
    } catch (const std::invalid_argument &error) {
      internal::WorkerMessage out;
      out.mutable_rejected()->set_request(submit.request());
      out.mutable_rejected()->set_reason(error.what());
      link_.send(out);
    }
  }

  void step() {
    link_.stepBegins();
    std::vector<Event> events = engine_.step();
    link_.stepEnds();
    if (events.empty())
      return;
    internal::WorkerMessage out;
    for (const Event &event : events)
      *out.mutable_events()->add_events() = toProto(event);
    link_.send(out);
  }

  void evaluate(const internal::Evaluate &request) {
    size_t rowBytes = static_cast<size_t>(engine_.vocabulary()) * sizeof(float);
    finish(request.request(), [&] {
      std::vector<int32_t> tokens(request.tokens().begin(), request.tokens().end());
      engine_.evaluate(tokens, request.chunk(), [&](int64_t position, const float *logits) {
        internal::WorkerMessage out;
        out.mutable_evaluate_row()->set_request(request.request());
        out.mutable_evaluate_row()->set_position(position);
        out.mutable_evaluate_row()->set_logits(logits, rowBytes);
        link_.send(out);
        alive();
      });
    });
  }

  void bench(const internal::Bench &request) {
    finish(request.request(), [&] {
      BenchOptions options{request.prompt(), request.tokens(),  request.parallel(),    request.repeat(),
                           request.depth(),  request.profile(), request.token_budget()};
      BenchFigures figures = runBench(engine_, options, [this] { alive(); });
      internal::WorkerMessage out;
      internal::BenchResult &result = *out.mutable_bench_result();
      result.set_request(request.request());
      result.mutable_prefill_tokens_per_second()->Add(figures.prefillTokensPerSecond.begin(),
                                                      figures.prefillTokensPerSecond.end());
      result.mutable_decode_tokens_per_second()->Add(figures.decodeTokensPerSecond.begin(), figures.decodeTokensPerSecond.end());
      for (const KernelTime &kernel : figures.prefillKernels)
        *result.add_prefill_kernels() = toProto(kernel);
      for (const KernelTime &kernel : figures.decodeKernels)
        *result.add_decode_kernels() = toProto(kernel);
      link_.send(out);
    });
  }

  void call(const internal::Call &request) {
    finish(request.request(), [&] {
      internal::WorkerMessage out;
      internal::CallResult &result = *out.mutable_call_result();
      result.set_request(request.request());
      for (const EntryRows &rows : engine_.call(fromProto(request))) {
        internal::CallResult::Output &output = *result.add_outputs();
        output.set_rows(rows.rows);
        output.set_columns(rows.columns);
        output.set_values(rows.values.data(), rows.values.size() * sizeof(float));
      }
      link_.send(out);
    });
  }

  /// Runs a request that takes the engine for itself and sends its end; bad arguments fail the request, not the worker.
  template <typename Body> void finish(uint64_t request, Body body) {
    internal::WorkerMessage out;
    out.mutable_done()->set_request(request);
    link_.stepBegins();
    try {
      body();
    } catch (const std::invalid_argument &error) {
      out.mutable_done()->set_error(error.what());
    }
    link_.stepEnds();
    link_.send(out);
  }

  void alive() {
    link_.stepEnds();
    link_.stepBegins();
  }

  EngineLike &engine_;
  WorkerLink &link_;
};

} // namespace

void runWorkerLoop(EngineLike &engine, WorkerLink &link) { Loop(engine, link).run(); }

} // namespace heddle
