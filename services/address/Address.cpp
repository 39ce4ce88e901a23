//===- Address.cpp -------------------------------------------------------------------------------------------------===//
#include "services/address/Address.h"
#include <algorithm>
#include <arpa/inet.h>
#include <cctype>
#include <charconv>
#include <stdexcept>
#include <string_view>
#include <sys/un.h>

namespace heddle {
namespace {

constexpr std::string_view kUnix = "unix:", kAbstract = "unix-abstract:";
constexpr size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;

[[noreturn]] void refuse(const std::string &text, const std::string &why) {
  std::string shown;
  for (char c : text)
    shown += std::iscntrl(static_cast<unsigned char>(c)) ? '?' : c;
  throw std::invalid_argument("'" + shown + "' is no address" + (why.empty() ? "" : ", " + why) +
                              "; write HOST:PORT, such as 127.0.0.1:50051, or unix:PATH");
}

std::string percentEncoded(const std::string &path) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (char c : path) {
    unsigned char byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) || std::string_view("/-._~").find(c) != std::string_view::npos))
      out += c;
    else
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out;
}

Address socketAddress(const std::string &text, Address::Kind kind, std::string path) {
  if (path.empty())
    refuse(text, "its path is empty");
  if (path.size() > kLongestPath)
    refuse(text, "a socket's path has at most " + std::to_string(kLongestPath) + " bytes, not " + std::to_string(path.size()));
  if (std::any_of(path.begin(), path.end(), [](unsigned char c) { return std::iscntrl(c); }))
    refuse(text, "its path has control characters");
  Address address;
  address.kind = kind;
  address.path = std::move(path);
  return address;
}

bool isHost(const std::string &host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) || c == '.' || c == '-' || c == '_');
  });
}

} // namespace

Address parseAddress(const std::string &text) {
  if (text.starts_with(kAbstract))
    return socketAddress(text, Address::Kind::Abstract, text.substr(kAbstract.size()));
  if (text.starts_with(kUnix)) {
    std::string path = text.substr(kUnix.size());
    if (path.starts_with("//")) {
      path.erase(0, 2);
      if (!path.starts_with("/"))
        refuse(text, "unix:// wants an absolute path");
    }
    return socketAddress(text, Address::Kind::Unix, std::move(path));
  }
  size_t colon = text.rfind(':');
  if (colon == std::string::npos)
    refuse(text, "it has no port");
  Address address;
  std::string_view port = std::string_view(text).substr(colon + 1);
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || !std::isdigit(static_cast<unsigned char>(port[0])) || error != std::errc() ||
      end != port.data() + port.size() || address.port > 65535)
    refuse(text, "its port is no number from 0 to 65535");
  address.host = text.substr(0, colon);
  if (address.host.starts_with("[") && address.host.ends_with("]")) {
    address.host = address.host.substr(1, address.host.size() - 2);
    in6_addr parsed;
    std::string number = address.host.substr(0, address.host.find('%')); // fe80::1%eth0
    std::string zone = number.size() < address.host.size() ? address.host.substr(number.size() + 1) : "none";
    if (inet_pton(AF_INET6, number.c_str(), &parsed) != 1 || !isHost(zone))
      refuse(text, "in its brackets is no IPv6 address");
  } else if (address.host.find(':') != std::string::npos) {
    refuse(text, "an IPv6 address stands in brackets, such as [::1]:50051");
  } else if (!isHost(address.host)) {
    refuse(text, address.host.empty() ? "it has no host" : "its host is no name");
  }
  return address;
}

std::string Address::text() const {
  switch (kind) {
  case Kind::Unix:
    return std::string(kUnix) + path;
  case Kind::Abstract:
    return std::string(kAbstract) + path;
  default:
    return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port);
  }
}

std::string Address::target() const {
  switch (kind) {
  case Kind::Unix:
    return std::string(kUnix) + percentEncoded(path);
  case Kind::Abstract:
    return std::string(kAbstract) + percentEncoded(path);
  default:
    return host == "0" ? "127.0.0.1:" + std::to_string(port) : text();
  }
}

} // namespace heddle
