//===- FileLock.h - a lock among processes, as far as the file system has one -------------------------------------------===//
#pragma once
#include <filesystem>
#include <functional>
#include <string>

namespace heddle {

/// An exclusive lock on a file, which is created and stays: removing one that another process is about to lock would let both
/// through. Locks here only save double work; what they guard is put in place by a rename. So a file system without locks (some
/// NFS and Lustre mounts, FUSE) is no error: note() says once what that means, and the work goes on without.
class FileLock {
public:
  struct Callbacks {
    std::function<void()> waiting;                     // called once, when another process holds it
    std::function<void()> check;                       // called again and again while waiting; may throw
    std::function<void(const std::string &note)> note; // of a file system without locks
  };
  /// Throws std::system_error when the file cannot be made.
  FileLock(const std::filesystem::path &file, const Callbacks &callbacks);
  ~FileLock();
  FileLock(const FileLock &) = delete;

private:
  int descriptor_;
};

} // namespace heddle
