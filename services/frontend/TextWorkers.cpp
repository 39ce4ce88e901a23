//===- TextWorkers.cpp ---------------------------------------------------------------------------------------------===//
#include "services/frontend/TextWorkers.h"
#include <algorithm>

namespace heddle {

TextWorkers::TextWorkers(Limits limits) : limits_(limits) {
  for (size_t i = 0; i < limits_.threads; ++i)
    threads_.emplace_back([this] { run(); });
}

TextWorkers::~TextWorkers() { stop(); }

bool TextWorkers::submit(size_t bytes, Job job) {
  std::lock_guard lock(mutex_);
  if (stopped_ || (!waiting_.empty() && waitingBytes_ + bytes > limits_.waitingBytes))
    return false;
  waiting_.push_back({bytes, std::move(job)});
  waitingBytes_ += bytes;
  changed_.notify_one();
  return true;
}

void TextWorkers::stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  for (std::thread &thread : threads_)
    if (thread.joinable())
      thread.join();
}

bool TextWorkers::takeNext(Waiting &next) {
  auto fits = [this](const Waiting &one) {
    return stopped_ || workingBytes_ == 0 || workingBytes_ + one.bytes <= limits_.workingBytes;
  };
  auto found = std::find_if(waiting_.begin(), waiting_.end(), fits);
  if (found == waiting_.end())
    return false;
  next = std::move(*found);
  waiting_.erase(found);
  waitingBytes_ -= next.bytes;
  workingBytes_ += next.bytes;
  return true;
}

void TextWorkers::run() {
  std::unique_lock lock(mutex_);
  for (Waiting next;;) {
    bool taken = false;
    changed_.wait(lock, [&] { return (taken = takeNext(next)) || (stopped_ && waiting_.empty()); });
    if (!taken)
      return;
    bool stopped = stopped_;
    lock.unlock();
    next.job(stopped);
    next.job = nullptr; // what it holds goes before the next one starts
    lock.lock();
    workingBytes_ -= next.bytes;
    changed_.notify_all(); // one that waited for memory may fit now
  }
}

} // namespace heddle
