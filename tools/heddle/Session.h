//===- Session.h - an engine to ask, in this process or over ranks -------------------------------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "services/frontend/GroupOptions.h"
#include "services/worker/Bench.h"
#include "tools/heddle/Options.h"
#include <functional>
#include <memory>

namespace heddle::tool {

/// What run, eval, bench and embed need of an engine. One thread.
class Session {
public:
  virtual ~Session() = default;
  /// Generates until the request ends; `event` is called as results come. The request is cancelled when `event` returns false
  /// and, within a second, when an Interruptible notes a signal; `event` then gets one more, of StopReason::Cancelled, whose
  /// answer does not count. The session can be used again at once. Throws Failure when the request fails.
  virtual void generate(const Request &request, const std::function<bool(const Event &)> &event) = 0;
  virtual void evaluate(const std::vector<int32_t> &tokens, int64_t chunk,
                        const std::function<void(int64_t, const float *)> &row) = 0;
  /// Calls an entry of the program; what it leaves in states is forgotten. Throws std::invalid_argument.
  virtual std::vector<EntryRows> call(const EntryCall &call) = 0;
  virtual BenchFigures bench(const BenchOptions &options) = 0;
  virtual int64_t threads() const = 0; // of each rank
  virtual int64_t context() const = 0; // tokens that a request can have, prompt and answer
  virtual int64_t callSequences() const = 0;
};

/// One rank and no hostfile: the engine in this process, with `tokenizer` if the caller has opened it. Else a group of
/// heddle-worker processes that ends with the session.
std::unique_ptr<Session> openSession(const std::filesystem::path &plan, const RankOptions &ranks, const MemoryOptions &memory,
                                     std::shared_ptr<const Tokenizer> tokenizer = nullptr);

/// What services/frontend needs to launch the workers.
GroupOptions groupOptions(const std::filesystem::path &plan, const RankOptions &ranks, const MemoryOptions &memory);

} // namespace heddle::tool
