//===- Address.h - where a server listens and a client dials --------------------------------------------------------===//
#pragma once
#include <string>

namespace heddle {

/// HOST:PORT, [IPv6]:PORT, unix:PATH or unix-abstract:NAME, as `heddle serve --grpc` and `heddle ask` take it.
struct Address {
  enum class Kind { Tcp, Unix, Abstract };
  Kind kind = Kind::Tcp;
  std::string host; // Tcp: a name, an IPv4 address, or an IPv6 address without its brackets
  int port = 0;     // Tcp
  std::string path; // Unix: of the socket; Abstract: its name

  /// As people write it.
  std::string text() const;
  /// As gRPC's clients take it: paths percent-encoded, and 0, which gRPC cannot dial, as this host.
  std::string target() const;
};

/// Throws std::invalid_argument, one line that says what an address looks like.
Address parseAddress(const std::string &text);

} // namespace heddle
