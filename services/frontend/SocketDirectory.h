//===- SocketDirectory.h - where the engine link's socket and mpirun's session files live ----------------------------===//
#pragma once
#include "runtime/host/KeptFolder.h"
#include <cstdint>
#include <string>

namespace heddle {

/// A fresh folder of mode 0700 under $XDG_RUNTIME_DIR, $TMPDIR or /tmp, for one Unix socket and for what an epoch's mpirun and
/// ranks put into their TMPDIR. It is gone when this process is, however that ended (KeptFolder).
class SocketDirectory {
public:
  SocketDirectory(); // throws GroupError
  const std::string &socket() const { return socket_; }
  const KeptFolder &folder() const { return folder_; }
  /// The TMPDIR of an epoch's processes; to be removed when they are gone. Throws GroupError.
  std::filesystem::path makeSession(uint64_t epoch) const;
  void removeSession(uint64_t epoch) const;

private:
  KeptFolder folder_;
  std::string socket_;
};

} // namespace heddle
