//===- EngineLike.h - what the worker needs of an engine -----------------------------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "runtime/engine/StepProfile.h"

namespace heddle {

/// Rank 0's engine as the worker loop sees it; the seam where tests put a scripted one. One thread drives it.
class EngineLike {
public:
  virtual ~EngineLike() = default;
  virtual int64_t vocabulary() const = 0;
  virtual void submit(Request request) = 0; // throws std::invalid_argument
  virtual void cancel(uint64_t request) = 0;
  virtual bool idle() const = 0;
  virtual std::vector<Event> step() = 0;
  virtual void evaluate(const std::vector<int32_t> &tokens, int64_t chunk,
                        const std::function<void(int64_t, const float *)> &row) = 0;
  /// Engine::call; what it leaves in states is forgotten.
  virtual std::vector<EntryRows> call(const EntryCall &call) = 0;
  virtual void startProfile() = 0;
  virtual std::vector<KernelTime> endProfile() = 0;
};

/// The real one. Borrows the engine.
class EngineAdapter final : public EngineLike {
public:
  EngineAdapter(Engine &engine, int64_t vocabulary) : engine_(engine), vocabulary_(vocabulary) {}
  int64_t vocabulary() const override { return vocabulary_; }
  void submit(Request request) override { engine_.submit(std::move(request)); }
  void cancel(uint64_t request) override { engine_.cancel(request); }
  bool idle() const override { return engine_.idle(); }
  std::vector<Event> step() override { return engine_.step(); }
  void evaluate(const std::vector<int32_t> &tokens, int64_t chunk,
                const std::function<void(int64_t, const float *)> &row) override {
    engine_.evaluate(tokens, chunk, row);
  }
  std::vector<EntryRows> call(const EntryCall &call) override {
    std::vector<EntryRows> rows = engine_.call(call);
    for (const EntryCall::Part &part : call.parts)
      engine_.forget(part.sequence);
    return rows;
  }
  void startProfile() override { engine_.startProfile(); }
  std::vector<KernelTime> endProfile() override { return engine_.endProfile(); }

private:
  Engine &engine_;
  int64_t vocabulary_;
};

} // namespace heddle
