//===- TextWorkers.h - threads for large texts ----------------------------------------------------------------------===//
#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace heddle {

/// Threads of their own for what takes long with large texts: templates, tokens from text, text from tokens. gRPC has few
/// threads, and while they made tokens nobody would hear anything: no health check, no stream, and no heartbeat of the worker
/// group, which would be taken for dead. Jobs start in order of arrival, but for those that must wait for memory: a tokenizer
/// needs more than a hundred times its text. Any thread may call.
class TextWorkers {
public:
  struct Limits {
    size_t threads = 2;
    size_t waitingBytes = 128 << 20; // of texts that wait
    size_t workingBytes = 5 << 20;   // of texts in work at once, or one that is larger
  };
  /// Told whether the workers are being stopped: then it ends without doing its work.
  using Job = std::function<void(bool stopped)>;

  TextWorkers() : TextWorkers(Limits()) {}
  explicit TextWorkers(Limits limits);
  ~TextWorkers(); // stop()

  /// False: too much waits already, or the workers are stopped; the job will not run.
  bool submit(size_t bytes, Job job);
  /// Returns when no job is left. Idempotent.
  void stop();

private:
  struct Waiting {
    size_t bytes;
    Job job;
  };
  void run();
  bool takeNext(Waiting &next); // with the lock held

  const Limits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  size_t waitingBytes_ = 0, workingBytes_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_; // after what they touch
};

} // namespace heddle
