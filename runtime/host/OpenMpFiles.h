//===- OpenMpFiles.h - what libomp leaves in /dev/shm --------------------------------------------------------------------===//
#pragma once

namespace heddle {

/// Stands around the first use of OpenMP, which starts LLVM's library. That makes __KMP_REGISTERED_LIB_PID_UID in /dev/shm, or in
/// /tmp, to notice a second copy of itself in the process, and removes it only at an orderly exit. Nobody reads it after the
/// start, so it goes here, with those of dead processes of this user that were killed before they came so far.
class OpenMpStart {
public:
  /// Throws std::runtime_error where /dev/shm is full: the library would die of a bus error. Where it cannot be written the
  /// library warns and does without; standard error is closed to that until the destructor.
  OpenMpStart();
  ~OpenMpStart();
  OpenMpStart(const OpenMpStart &) = delete;

private:
  int errors_ = -1; // standard error, kept aside
};

} // namespace heddle
