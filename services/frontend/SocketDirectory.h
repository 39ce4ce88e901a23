//===- SocketDirectory.h - where the engine link's socket lives -----------------------------------------------------===//
#pragma once
#include <string>

namespace heddle {

/// A fresh directory of mode 0700 under $XDG_RUNTIME_DIR, or /tmp, for one Unix socket. Its name carries this process's id: the
/// constructor also removes directories that killed frontends of this user left behind. Removed by the destructor.
class SocketDirectory {
public:
  SocketDirectory(); // throws GroupError
  ~SocketDirectory();
  SocketDirectory(const SocketDirectory &) = delete;
  const std::string &socket() const { return socket_; }

private:
  std::string directory_, socket_;
};

} // namespace heddle
