//===- Http.h - GET requests by libcurl, for `heddle pull` -----------------------------------------------------------------===//
//
// Proxies come from the environment as libcurl reads it (https_proxy, no_proxy …), certificates from the system or from
// SSL_CERT_FILE and the like. Redirects are followed here and not by libcurl: the token is only ever sent to the origin that it
// was given for, and the headers of each step can be read.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

namespace heddle::tool {

struct HttpAnswer {
  long status = 0;
  std::string url;                            // that answered, after the redirects
  std::map<std::string, std::string> headers; // of that answer; names in lower case
  std::map<std::string, std::string> first;   // of the first answer, where the hub puts what it knows of a file
  std::string body;                           // unless a sink took it
  std::string header(const std::string &name) const;
};

/// A connection that failed or broke: worth another attempt if it is `Broken`.
struct HttpError : std::runtime_error {
  enum class Kind { Unreachable, Certificate, Broken } kind;
  HttpError(Kind kind, const std::string &what) : std::runtime_error(what), kind(kind) {}
};

/// Takes the body of a 200 or 206. What it throws ends the request and comes out of get().
class HttpSink {
public:
  virtual ~HttpSink() = default;
  virtual void begin(const HttpAnswer &answer) = 0;
  virtual void take(std::span<const char> bytes) = 0;
};

struct HttpRange {
  uint64_t from = 0;   // 0: everything
  std::string ifRange; // a strong ETag; empty: none is known
};

/// One connection, kept open between requests. One thread. Interrupted comes out of everything here when a signal was noted.
class Http {
public:
  /// `token` goes to the origin of `endpoint` alone; empty: none. Throws Failure where `endpoint` is no http or https URL.
  Http(std::string endpoint, std::string token);
  ~Http();
  const std::string &endpoint() const { return endpoint_; }
  bool hasToken() const { return !token_.empty(); }
  bool isOurs(const std::string &url) const; // of the endpoint's origin

  /// One attempt. Throws HttpError. A body without a sink may have 64 MiB.
  HttpAnswer get(const std::string &url, HttpSink *sink = nullptr, const HttpRange &range = {});
  /// With attempts again after broken connections and answers that ask for it. Throws Failure.
  HttpAnswer getPatiently(const std::string &url);

private:
  HttpAnswer step(const std::string &url, HttpSink *sink, const HttpRange &range,
                  const std::map<std::string, std::string> &first);

  struct Handle;
  std::unique_ptr<Handle> handle_;
  std::string endpoint_, token_;
  bool reached_ = false; // something has answered
};

/// How often and how long to try again: seven times without progress, after 0.25 s, 0.5 s, 1 s … or what the server asks for.
class Patience {
public:
  void progressed() { attempts_ = 0; }
  /// Waits, or throws Failure "WHAT…" after the last attempt.
  void wait(const std::string &what, std::optional<std::chrono::seconds> asked = {});

private:
  int attempts_ = 0;
};

/// Answers after which another attempt makes sense: 408, 429, 5xx.
bool isTransient(long status);
/// What Retry-After asks for.
std::optional<std::chrono::seconds> retryAfter(const HttpAnswer &answer);
/// Percent-encoded, but for slashes where `keepSlashes`.
std::string urlEncoded(std::string_view text, bool keepSlashes = false);
/// "huggingface.co" of a URL, with the port where one is given.
std::string hostOf(const std::string &url);

} // namespace heddle::tool
