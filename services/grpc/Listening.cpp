//===- Listening.cpp -----------------------------------------------------------------------------------------------===//
#include "services/grpc/Listening.h"
#include <arpa/inet.h>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <netdb.h>
#include <netinet/in.h>
#include <optional>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace heddle {
namespace {

/// A socket of our own, to try things out before gRPC does them without a word.
class Probe {
public:
  explicit Probe(int family) : descriptor_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    int one = 1;
    setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  }
  ~Probe() {
    if (descriptor_ >= 0)
      close(descriptor_);
  }
  bool bind(const sockaddr *address, socklen_t size) const { return ::bind(descriptor_, address, size) == 0; }
  bool connect(const sockaddr *address, socklen_t size) const { return ::connect(descriptor_, address, size) == 0; }
  /// The port that was bound.
  int port() const {
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    getsockname(descriptor_, reinterpret_cast<sockaddr *>(&bound), &size);
    return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6 &>(bound).sin6_port
                                             : reinterpret_cast<sockaddr_in &>(bound).sin_port);
  }

private:
  int descriptor_;
};

template <typename Try> bool onLoopback(int family, int port, Try attempt) {
  if (family == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return attempt(reinterpret_cast<sockaddr *>(&address), socklen_t{sizeof address});
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<uint16_t>(port));
  address.sin6_addr = in6addr_loopback;
  return attempt(reinterpret_cast<sockaddr *>(&address), socklen_t{sizeof address});
}

bool canBindLoopback(int family, int port) {
  Probe probe(family);
  return onLoopback(family, port, [&](auto *address, socklen_t size) { return probe.bind(address, size); });
}

/// A port that is free on both loopback addresses; 0 when none was found.
int freeLoopbackPort() {
  for (int attempt = 0; attempt < 50; ++attempt) {
    Probe probe(AF_INET);
    if (!onLoopback(AF_INET, 0, [&](auto *address, socklen_t size) { return probe.bind(address, size); }))
      return 0;
    if (int port = probe.port(); canBindLoopback(AF_INET6, port))
      return port;
  }
  return 0;
}

Listening onLocalhost(const Address &address) {
  Listening out;
  out.dial = address;
  bool six = canBindLoopback(AF_INET6, 0); // IPv6 may be switched off
  if (address.port == 0 && six)
    out.dial.port = freeLoopbackPort();
  std::string port = ":" + std::to_string(out.dial.port);
  out.binds = {"127.0.0.1" + port};
  if (six)
    out.binds.push_back("[::1]" + port);
  return out;
}

/// Whether a numeric host means every interface: 0.0.0.0, 0, ::.
bool meansEverywhere(const std::string &host) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0)
    return false;
  bool any = found->ai_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<sockaddr_in6 *>(found->ai_addr)->sin6_addr)
                                          : reinterpret_cast<sockaddr_in *>(found->ai_addr)->sin_addr.s_addr == htonl(INADDR_ANY);
  freeaddrinfo(found);
  return any;
}

/// A socket's name, in the file system or abstract, and its size. parseAddress has seen that it fits.
std::pair<sockaddr_un, socklen_t> socketName(const Address &address) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const size_t before = address.kind == Address::Kind::Abstract ? 1 : 0; // the zero byte that says so
  std::memcpy(name.sun_path + before, address.path.data(), address.path.size());
  if (before == 0)
    return {name, sizeof name};
  return {name, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + before + address.path.size())};
}

/// gRPC removes whatever socket is at the path, so a live server must be found before.
void checkSocketPath(const Address &address) {
  std::error_code error;
  std::filesystem::file_status status = std::filesystem::symlink_status(address.path, error);
  if (!std::filesystem::exists(status))
    return;
  if (!std::filesystem::is_socket(status))
    throw std::runtime_error("cannot listen on " + address.text() + ": there is a file that is no socket; choose another path");
  auto [name, size] = socketName(address);
  if (Probe(AF_UNIX).connect(reinterpret_cast<sockaddr *>(&name), size))
    throw std::runtime_error("cannot listen on " + address.text() + ": another server is there; choose another with --grpc");
}

std::string whyNoSocket(const Address &address) {
  const bool abstract = address.kind == Address::Kind::Abstract;
  std::filesystem::path folder = std::filesystem::absolute(address.path).parent_path();
  std::error_code error;
  if (!abstract && !std::filesystem::is_directory(folder, error))
    return folder.string() + " is no folder";
  if (!abstract && access(folder.c_str(), W_OK) != 0)
    return folder.string() + " cannot be written: " + std::strerror(errno);
  auto [name, size] = socketName(address);
  Probe probe(AF_UNIX);
  if (probe.bind(reinterpret_cast<sockaddr *>(&name), size)) {
    if (!abstract)
      unlink(address.path.c_str()); // ours: it was not there when it was bound
    return "";
  }
  const std::string words = std::strerror(errno); // in /proc it is "No such file or directory"
  if (abstract)
    return errno == EADDRINUSE ? "another server is there" : words;
  return "no socket can be made in " + folder.string() + ": " + words;
}

} // namespace

Listening listeningOn(const Address &address) {
  Listening out;
  out.dial = address;
  if (address.kind != Address::Kind::Tcp) {
    if (address.kind == Address::Kind::Unix) {
      checkSocketPath(address);
      std::string whole = std::filesystem::absolute(address.path).lexically_normal().string();
      if (whole.size() < sizeof(sockaddr_un::sun_path)) // else only the path as given fits a socket's name
        out.dial.path = whole;
    }
    out.binds = {address.text()};
    return out;
  }
  if (address.host == "localhost")
    return onLocalhost(address);
  out.everywhere = meansEverywhere(address.host);
  if (out.everywhere)
    out.dial.host = "127.0.0.1";
  out.binds = {(address.host == "0" ? "0.0.0.0:" + std::to_string(address.port) : address.text())};
  return out;
}

std::string whyNot(const Address &address) {
  if (address.kind != Address::Kind::Tcp)
    return whyNoSocket(address);
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  if (int error = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found))
    return "the host is not known (" + std::string(gai_strerror(error)) + ")";
  std::string reason;
  for (addrinfo *one = found; one && reason.empty(); one = one->ai_next)
    if (!Probe(one->ai_family).bind(one->ai_addr, one->ai_addrlen))
      reason = std::strerror(errno);
  freeaddrinfo(found);
  return reason;
}

} // namespace heddle
