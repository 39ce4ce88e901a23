//===- FileLock.cpp - a lock among processes, as far as the file system has one -----------------------------------------===//
#include "runtime/host/FileLock.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

namespace heddle {

FileLock::FileLock(const std::filesystem::path &file, const Callbacks &callbacks)
    : descriptor_(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  if (descriptor_ < 0)
    throw std::system_error(errno, std::generic_category(), file.string());
  try {
    // Asked again and again instead of slept on, so that a signal is noticed whichever thread it comes to.
    for (bool waited = false; flock(descriptor_, LOCK_EX | LOCK_NB) != 0;) {
      if (errno == EINTR)
        continue;
      if (errno != EWOULDBLOCK) {
        if (callbacks.note)
          callbacks.note("the file system of " + file.parent_path().string() + " has no locks (" + std::strerror(errno) +
                         "); going on without, do not do the same twice at once");
        break;
      }
      if (!waited && callbacks.waiting)
        callbacks.waiting();
      waited = true;
      if (callbacks.check)
        callbacks.check();
      poll(nullptr, 0, 50);
    }
  } catch (...) {
    close(descriptor_);
    throw;
  }
}

FileLock::~FileLock() { close(descriptor_); }

} // namespace heddle
