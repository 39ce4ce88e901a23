//===- Listening.h - from an address to what a server binds ---------------------------------------------------------===//
#pragma once
#include "services/address/Address.h"
#include <string>
#include <vector>

namespace heddle {

/// What to bind for an address, and what a client on this host dials. localhost is both of its addresses, on one port; a host
/// that means all interfaces is dialled by the loopback address; a socket's path becomes absolute. A port of 0 stays 0 where the
/// system may choose it.
struct Listening {
  std::vector<std::string> binds; // for grpc::ServerBuilder
  Address dial;
  bool everywhere = false;
};

/// Throws std::runtime_error, one line, where a live server or another kind of file is at a socket's path.
Listening listeningOn(const Address &address);

/// Why `address` cannot be bound, in the system's words, found by trying; empty when it can.
std::string whyNot(const Address &address);

} // namespace heddle
