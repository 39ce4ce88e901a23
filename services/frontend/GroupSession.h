//===- GroupSession.h - a group of workers for one command ----------------------------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "services/frontend/GroupOptions.h"
#include "services/worker/Bench.h"
#include <functional>
#include <memory>

namespace heddle {

/// The worker group of `heddle run`, `eval`, `bench` and `embed` with more than one rank or with a hostfile: launched by the
/// constructor, which returns when the group is ready, and gone with all its processes when the destructor returns, at once if
/// the last request was cancelled or `event` threw. It is not restarted: when
/// it dies, the call of the moment and all later ones throw GroupError. One thread uses a session; callbacks come on that thread.
class GroupSession {
public:
  /// `planKey`: the manifest's key. Throws GroupError.
  GroupSession(const GroupOptions &options, const std::string &planKey);
  ~GroupSession();

  /// What one request may hold, prompt and output.
  int64_t context() const;
  /// Sequences of a call.
  int64_t callSequences() const;
  /// What rank 0 computes with; every rank of its host has as many.
  int64_t threads() const;
  /// Runs one request to its end; `event` sees each event in order. The request is cancelled when `event` returns false, or when
  /// `cancelled`, asked a few times a second, returns true: `event` then gets a last one, Cancelled, at once, while the group
  /// finishes its step of the moment. Throws GroupError, and std::invalid_argument when the engine refuses the request.
  void generate(const Request &request, const std::function<bool(const Event &)> &event,
                const std::function<bool()> &cancelled = {});
  /// Engine::evaluate over the group.
  void evaluate(const std::vector<int32_t> &tokens, int64_t chunk, const std::function<void(int64_t, const float *)> &row);
  /// Engine::call over the group, for sequences that are forgotten afterwards; `RowsOf` is not said.
  std::vector<EntryRows> call(const EntryCall &call);
  BenchFigures bench(const BenchOptions &options);

private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace heddle
