//===- Threads.cpp --------------------------------------------------------------------------------------------------------===//
#include "runtime/host/Threads.h"
#include <algorithm>
#include <climits>
#include <cstring>
#include <latch>
#include <pthread.h>
#include <stdexcept>
#include <vector>

namespace heddle {

void requireThreads(int64_t count, const std::string &what, const std::string &remedy, size_t stackBytes) {
  std::latch all(1); // opened when as many as may be are there
  pthread_attr_t how;
  pthread_attr_init(&how);
  pthread_attr_setstacksize(&how, std::max<size_t>(PTHREAD_STACK_MIN, stackBytes));
  std::vector<pthread_t> threads;
  int error = 0;
  auto wait = [](void *latch) -> void * {
    static_cast<std::latch *>(latch)->wait();
    return nullptr;
  };
  while (static_cast<int64_t>(threads.size()) < count && error == 0) {
    pthread_t thread;
    error = pthread_create(&thread, &how, wait, &all);
    if (error == 0)
      threads.push_back(thread);
  }
  pthread_attr_destroy(&how);
  all.count_down();
  for (pthread_t thread : threads)
    pthread_join(thread, nullptr);
  if (error)
    throw std::runtime_error(what + " needs " + std::to_string(count) + " more threads, and only " +
                             std::to_string(threads.size()) + " can be started (" + std::strerror(error) + "); " + remedy +
                             ", or raise the limit on processes (ulimit -u, pids.max of the container) or addresses (ulimit -v)");
}

} // namespace heddle
