//===- Http.cpp - GET requests by libcurl, for `heddle pull` ---------------------------------------------------------------===//
#include "tools/heddle/hub/Http.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Interrupt.h"
#include "tools/heddle/hub/Curl.h"
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <poll.h>
#include <utility>

namespace heddle::tool {
namespace {

constexpr size_t kLongestBody = 64 << 20, kLongestHeaders = 1 << 20;
constexpr int kMostRedirects = 10;
constexpr long kConnectSeconds = 20, kSilentSeconds = 60;

struct Url {
  explicit Url(const std::string &text) {
    if (curl().url_set(handle, CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
      curl().url_cleanup(std::exchange(handle, nullptr));
  }
  ~Url() { curl().url_cleanup(handle); }
  Url(const Url &) = delete;
  std::string part(CURLUPart which, unsigned flags = 0) const {
    char *text = nullptr;
    std::string found;
    if (handle && curl().url_get(handle, which, &text, flags) == CURLUE_OK)
      found = text;
    curl().free(text);
    return found;
  }
  std::string origin() const {
    return part(CURLUPART_SCHEME) + "://" + part(CURLUPART_HOST) + ":" + part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
  }
  CURLU *handle = curl().url();
};

/// What libcurl's callbacks fill. They are C functions, so what is thrown in them waits here.
struct Transfer {
  CURL *easy;
  HttpAnswer answer;
  HttpSink *sink;
  bool begun = false;
  size_t headerBytes = 0;
  std::exception_ptr thrown;

  void begin() {
    if (answer.first.empty())
      answer.first = answer.headers;
    sink->begin(answer);
  }
};

bool isRedirect(long status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

size_t onHeader(char *bytes, size_t, size_t count, void *to) {
  auto &transfer = *static_cast<Transfer *>(to);
  std::string_view line(bytes, count);
  if ((transfer.headerBytes += count) > kLongestHeaders)
    return 0;
  if (line.starts_with("HTTP/")) // after a 100, the next are the true ones
    transfer.answer.headers.clear();
  size_t colon = line.find(':');
  if (colon == line.npos)
    return count;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  std::string_view value = line.substr(colon + 1);
  auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!value.empty() && space(value.front()))
    value.remove_prefix(1);
  while (!value.empty() && space(value.back()))
    value.remove_suffix(1);
  std::string &all = transfer.answer.headers[name];
  all += (all.empty() ? "" : ", ") + std::string(value);
  return count;
}

size_t onBody(char *bytes, size_t, size_t count, void *to) {
  auto &transfer = *static_cast<Transfer *>(to);
  HttpAnswer &answer = transfer.answer;
  curl().easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &answer.status);
  if (isRedirect(answer.status))
    return count;
  try {
    if (transfer.sink && (answer.status == 200 || answer.status == 206)) {
      if (!std::exchange(transfer.begun, true))
        transfer.begin();
      transfer.sink->take({bytes, count});
    } else if (answer.body.size() + count <= kLongestBody) {
      answer.body.append(bytes, count);
    } else {
      throw Failure(hostOf(answer.url) + " answers with more than 64 MiB where a list of files is expected");
    }
  } catch (...) {
    transfer.thrown = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
  return count;
}

int onTick(void *, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return Interruptible::interrupted(); }

const char *firstSet(std::initializer_list<const char *> names) {
  for (const char *name : names)
    if (const char *value = std::getenv(name); value && *value)
      return value;
  return nullptr;
}

long silentSeconds() {
  const char *text = firstSet({"HF_HUB_DOWNLOAD_TIMEOUT"});
  if (!text)
    return kSilentSeconds;
  long seconds = 0;
  std::string_view all(text);
  auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), seconds);
  if (error != std::errc() || end != all.data() + all.size() || seconds < 1 || seconds > 86400)
    throw Failure("HF_HUB_DOWNLOAD_TIMEOUT is '" + std::string(all) + "', which is no number of seconds from 1 to 86400");
  return seconds;
}

} // namespace

struct Http::Handle {
  Handle() : easy(curl().easy_init()) {
    if (!easy)
      throw Failure("libcurl cannot be started; see that libcurl4 is installed as tools/setup does it");
  }
  ~Handle() { curl().easy_cleanup(easy); }
  Handle(const Handle &) = delete;
  CURL *easy;
};

Http::Http(std::string endpoint, std::string token)
    : handle_(std::make_unique<Handle>()), endpoint_(std::move(endpoint)), token_(std::move(token)) {
  const Url url(endpoint_);
  const std::string scheme = url.part(CURLUPART_SCHEME);
  if ((scheme != "http" && scheme != "https") || url.part(CURLUPART_HOST).empty() || !url.part(CURLUPART_QUERY).empty())
    throw Failure("HF_ENDPOINT is '" + endpoint_ + "', which is no URL such as https://huggingface.co");
  CURL *easy = handle_->easy;
  curl().easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl().easy_setopt(easy, CURLOPT_USERAGENT, "heddle/" HEDDLE_VERSION);
  // A page that was encrypted does not lead to one that is not.
  curl().easy_setopt(easy, CURLOPT_PROTOCOLS_STR, scheme == "https" ? "https" : "http,https");
  curl().easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl().easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl().easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl().easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, silentSeconds());
  curl().easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl().easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, onTick);
  curl().easy_setopt(easy, CURLOPT_HEADERFUNCTION, onHeader);
  curl().easy_setopt(easy, CURLOPT_WRITEFUNCTION, onBody);
  // libcurl leaves these to its callers; those who stand behind a proxy with certificates of its own have set one of them.
  if (const char *file = firstSet({"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}))
    curl().easy_setopt(easy, CURLOPT_CAINFO, file);
  if (const char *folder = firstSet({"SSL_CERT_DIR"}))
    curl().easy_setopt(easy, CURLOPT_CAPATH, folder);
}

Http::~Http() = default;

bool Http::isOurs(const std::string &url) const { return Url(url).origin() == Url(endpoint_).origin(); }

HttpAnswer Http::step(const std::string &url, HttpSink *sink, const HttpRange &range,
                      const std::map<std::string, std::string> &first) {
  Interruptible::check();
  CURL *easy = handle_->easy;
  Transfer transfer{easy, {}, sink, false, 0, nullptr};
  transfer.answer.url = url, transfer.answer.first = first;
  curl_slist *headers = nullptr;
  auto add = [&](const std::string &line) { headers = curl().slist_append(headers, line.c_str()); };
  if (!token_.empty() && isOurs(url))
    add("Authorization: Bearer " + token_);
  if (range.from > 0)
    add("Range: bytes=" + std::to_string(range.from) + "-");
  if (range.from > 0 && !range.ifRange.empty())
    add("If-Range: " + range.ifRange);
  std::array<char, CURL_ERROR_SIZE> why{};
  curl().easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl().easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl().easy_setopt(easy, CURLOPT_ERRORBUFFER, why.data());
  curl().easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl().easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  const CURLcode code = curl().easy_perform(easy);
  curl().slist_free_all(headers);
  curl().easy_setopt(easy, CURLOPT_HTTPHEADER, nullptr);
  curl().easy_setopt(easy, CURLOPT_ERRORBUFFER, nullptr);
  if (transfer.thrown)
    std::rethrow_exception(transfer.thrown);
  Interruptible::check();
  HttpAnswer &answer = transfer.answer;
  curl().easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer.status);
  reached_ = reached_ || answer.status != 0;
  if (code == CURLE_OK) {
    if (sink && !transfer.begun && (answer.status == 200 || answer.status == 206))
      transfer.begin(); // of an empty body
    return std::move(answer);
  }
  const std::string host = hostOf(url), reason = why[0] ? why.data() : curl().easy_strerror(code);
  using Kind = HttpError::Kind;
  switch (code) {
  case CURLE_URL_MALFORMAT:
  case CURLE_UNSUPPORTED_PROTOCOL:
    throw Failure(host + " leads to " + url + ", which is not followed: " + reason);
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_SSL_ISSUER_ERROR:
    throw HttpError(Kind::Certificate, "no trusted connection to " + host + ": " + reason +
                                           "; see the clock and ca-certificates, or name your proxy's certificates in "
                                           "SSL_CERT_FILE");
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_COULDNT_CONNECT:
    if (!reached_)
      throw HttpError(Kind::Unreachable,
                      host + " cannot be reached: " + reason + "; see the network, https_proxy and HF_ENDPOINT");
    [[fallthrough]];
  default:
    double connected = 0;
    curl().easy_getinfo(easy, CURLINFO_CONNECT_TIME, &connected);
    if (code == CURLE_OPERATION_TIMEDOUT && connected == 0 && !reached_)
      throw HttpError(Kind::Unreachable, host + " does not answer: " + reason + "; see the network, https_proxy and HF_ENDPOINT");
    throw HttpError(Kind::Broken, "the connection to " + host + " broke: " + reason);
  }
}

HttpAnswer Http::get(const std::string &url, HttpSink *sink, const HttpRange &range) {
  std::string at = url;
  std::map<std::string, std::string> first;
  for (int steps = 0; steps <= kMostRedirects; ++steps) {
    HttpAnswer answer = step(at, sink, range, first);
    if (steps == 0)
      first = answer.first = answer.headers;
    if (!isRedirect(answer.status))
      return answer;
    char *next = nullptr; // absolute
    curl().easy_getinfo(handle_->easy, CURLINFO_REDIRECT_URL, &next);
    if (!next)
      throw Failure(hostOf(at) + " redirects " + at + " to nowhere");
    at = next;
  }
  throw Failure(hostOf(url) + " redirects " + url + " in circles");
}

HttpAnswer Http::getPatiently(const std::string &url) {
  for (Patience patience;;) {
    try {
      HttpAnswer answer = get(url);
      if (!isTransient(answer.status))
        return answer;
      patience.wait(hostOf(answer.url) + " answers " + std::to_string(answer.status), retryAfter(answer));
    } catch (const HttpError &error) {
      if (error.kind != HttpError::Kind::Broken)
        throw Failure(error.what());
      patience.wait(error.what());
    }
  }
}

void Patience::wait(const std::string &what, std::optional<std::chrono::seconds> asked) {
  using namespace std::chrono;
  constexpr int most = 7;
  constexpr seconds longest(300);
  if (asked && *asked > longest)
    throw Failure(what + " and asks to wait for " + std::to_string(asked->count()) + " s; try again then");
  if (++attempts_ > most)
    throw Failure(what + ", after " + std::to_string(most) + " more attempts; try again later");
  milliseconds pause = milliseconds(250) * (1 << std::min(attempts_ - 1, 4));
  if (asked)
    pause = std::max(pause, duration_cast<milliseconds>(*asked));
  for (auto end = steady_clock::now() + pause; steady_clock::now() < end; ::poll(nullptr, 0, 50))
    Interruptible::check();
}

bool isTransient(long status) { return status == 408 || status == 429 || (status >= 500 && status <= 599); }

std::optional<std::chrono::seconds> retryAfter(const HttpAnswer &answer) {
  const std::string text = answer.header("retry-after");
  if (text.empty())
    return {};
  long seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size())
    return std::chrono::seconds(std::max(0L, seconds));
  const time_t when = curl().getdate(text.c_str(), nullptr);
  return when == -1 ? std::optional<std::chrono::seconds>() : std::chrono::seconds(std::max<time_t>(0, when - ::time(nullptr)));
}

std::string HttpAnswer::header(const std::string &name) const {
  auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::string urlEncoded(std::string_view text, bool keepSlashes) {
  std::string encoded;
  for (unsigned char c : text) {
    if (std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~' || (c == '/' && keepSlashes)) {
      encoded += char(c);
    } else {
      encoded += '%';
      encoded += "0123456789ABCDEF"[c >> 4];
      encoded += "0123456789ABCDEF"[c & 15];
    }
  }
  return encoded;
}

std::string hostOf(const std::string &url) {
  const Url parts(url);
  const std::string port = parts.part(CURLUPART_PORT), host = parts.part(CURLUPART_HOST);
  return host.empty() ? url : port.empty() ? host : host + ":" + port;
}

} // namespace heddle::tool
