//===- Download.cpp - one file of the hub, resumed and checked ------------------------------------------------------------===//
#include "tools/heddle/hub/Download.h"
#include "runtime/host/Resources.h"
#include "runtime/plan/ContentHash.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Interrupt.h"
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace heddle::tool {
namespace fs = std::filesystem;
namespace {

/// The hash of git's object for a file: SHA-1 of "blob SIZE\0" and its bytes. It names content here and guards against accidents;
/// large files have a SHA-256.
class GitSha1 {
public:
  explicit GitSha1(uint64_t size) : state_(EVP_MD_CTX_new()) {
    good_ = state_ && EVP_DigestInit_ex(state_, EVP_sha1(), nullptr);
    const std::string head = "blob " + std::to_string(size);
    update({head.c_str(), head.size() + 1});
  }
  ~GitSha1() { EVP_MD_CTX_free(state_); }
  GitSha1(const GitSha1 &) = delete;
  void update(std::span<const char> bytes) { good_ = good_ && EVP_DigestUpdate(state_, bytes.data(), bytes.size()); }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!good_ || !EVP_DigestFinal_ex(state_, digest, &length))
      throw Failure("libcrypto: SHA-1 is not available, with which the hub names small files; check the OpenSSL installation");
    std::string text;
    for (unsigned i = 0; i < length; ++i) {
      text += "0123456789abcdef"[digest[i] >> 4];
      text += "0123456789abcdef"[digest[i] & 15];
    }
    return text;
  }

private:
  EVP_MD_CTX *state_;
  bool good_;
};

[[noreturn]] void cannot(const fs::path &file, const char *doing, int error) {
  if (error == ENOSPC || error == EDQUOT)
    throw Failure(file.parent_path().string() + " is full (" + std::strerror(error) +
                  "); what has come is kept: free some space, and the same command goes on from there");
  throw Failure(file.string() + " cannot be " + doing + ": " + std::strerror(error));
}

/// The file that grows.
class Partial : public HttpSink {
public:
  Partial(HubFile &file, const DownloadRequest &request) : file_(file), request_(request) {
    descriptor_ = ::open(request.partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    struct stat info;
    if (descriptor_ < 0 || ::fstat(descriptor_, &info) != 0)
      cannot(request.partial, "written", errno);
    size_ = uint64_t(info.st_size);
    resumed_ = size_ > 0;
    request_.progress(int64_t(size_));
    if (file_.size && size_ > *file_.size)
      startAnew();
  }
  ~Partial() override { ::close(descriptor_); }

  uint64_t size() const { return size_; }
  bool complete() const { return file_.size && size_ == *file_.size; }
  bool resumed() const { return resumed_; } // some of it came in another request than the last that began anew

  HttpRange rest() const {
    std::string etag;
    std::ifstream in(etagFile());
    std::getline(in, etag);
    return {size_, etag};
  }

  void startAnew() {
    if (::ftruncate(descriptor_, 0) != 0)
      cannot(request_.partial, "emptied", errno);
    request_.progress(-int64_t(size_));
    size_ = 0;
    resumed_ = false;
    std::error_code ignored;
    fs::remove(etagFile(), ignored);
  }

  /// Where the list of files said too little, the answer's headers may say it: the size, and the hash as an ETag.
  void begin(const HttpAnswer &answer) override {
    const uint64_t from = answer.status == 206 ? beginOfRange(answer) : 0;
    if (from == 0 && size_ > 0)
      startAnew(); // the server has no ranges, or another file by now
    if (from != size_)
      throw HttpError(HttpError::Kind::Broken,
                      hostOf(answer.url) + " sends another part of " + request_.called + " than was asked for");
    learn(answer, from);
    const std::string etag = answer.header("etag");
    if (from == 0 && etag.starts_with('"'))
      std::ofstream(etagFile()) << etag << "\n"; // without it the rest is only checked by the hash
  }

  void take(std::span<const char> bytes) override {
    if (file_.size && bytes.size() > *file_.size - size_)
      throw Failure("the hub sends more than the " + std::to_string(*file_.size) + " bytes of " + request_.called +
                    "; try again, and see your proxy");
    while (!bytes.empty()) {
      const ssize_t put = ::pwrite(descriptor_, bytes.data(), bytes.size(), off_t(size_));
      if (put < 0 && errno == EINTR)
        continue;
      if (put <= 0)
        cannot(request_.partial, "written", put < 0 ? errno : ENOSPC);
      size_ += uint64_t(put);
      request_.progress(put);
      bytes = bytes.subspan(size_t(put));
    }
  }

  void sync() {
    if (::fsync(descriptor_) != 0 && errno != EINVAL)
      cannot(request_.partial, "written", errno);
  }

private:
  fs::path etagFile() const { return request_.partial.string() + ".etag"; }

  uint64_t beginOfRange(const HttpAnswer &answer) const { // "bytes FROM-TO/ALL"
    const std::string text = answer.header("content-range");
    uint64_t from = 0;
    if (!text.starts_with("bytes "))
      throw HttpError(HttpError::Kind::Broken,
                      hostOf(answer.url) + " does not say which part of " + request_.called + " it sends");
    auto [end, error] = std::from_chars(text.data() + 6, text.data() + text.size(), from);
    if (error != std::errc() || end == text.data() + text.size() || *end != '-')
      throw HttpError(HttpError::Kind::Broken,
                      hostOf(answer.url) + " does not say which part of " + request_.called + " it sends");
    return from;
  }

  void learn(const HttpAnswer &answer, uint64_t from) {
    std::string bytes = answer.header("content-length");
    uint64_t length = 0;
    auto [end, error] = std::from_chars(bytes.data(), bytes.data() + bytes.size(), length);
    const bool told = !bytes.empty() && error == std::errc() && end == bytes.data() + bytes.size();
    if (told && file_.size && from + length != *file_.size)
      throw Failure(hostOf(answer.url) + " sends " + std::to_string(from + length) + " bytes for " + request_.called +
                    ", the hub says " + std::to_string(*file_.size) + "; try again, and see your proxy");
    if (told && !file_.size)
      file_.size = from + length;
    if (!file_.hasHash()) {
      std::string tag;
      for (const char *header : {"etag", "x-linked-etag"}) // the second is that of the file, where the first is a redirect's
        if (auto found = answer.first.find(header); found != answer.first.end())
          tag = found->second;
      std::erase(tag, '"');
      file_.sha256 = hashOrNothing(tag, 64);
      file_.gitSha1 = hashOrNothing(tag, 40);
    }
  }

  HubFile &file_;
  const DownloadRequest &request_;
  int descriptor_;
  uint64_t size_ = 0;
  bool resumed_ = false;
};

} // namespace

std::string partialName(const HubFile &file) {
  if (file.hasHash())
    return file.sha256.empty() ? file.gitSha1 : file.sha256;
  return "unnamed-" + Sha256().field(file.path).field(file.size ? std::to_string(*file.size) : "").hex();
}

bool hasContent(const fs::path &path, const HubFile &file, const std::function<void(uint64_t)> &tick) {
  std::ifstream in(path, std::ios::binary);
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (!in || error || (file.size && size != *file.size))
    return false;
  if (!file.hasHash())
    return file.size.has_value();
  Sha256 large;
  GitSha1 small(size);
  std::vector<char> buffer(1 << 20);
  while (in.read(buffer.data(), std::streamsize(buffer.size())), in.gcount() > 0) {
    const std::span<const char> part(buffer.data(), size_t(in.gcount()));
    if (file.sha256.empty())
      small.update(part);
    else
      large.update(std::as_bytes(part));
    if (tick)
      tick(part.size());
    Interruptible::check();
  }
  if (in.bad())
    throw Failure(path.string() + " cannot be read: " + std::strerror(errno));
  return file.sha256.empty() ? small.hex() == file.gitSha1 : large.hex() == file.sha256;
}

bool download(Http &http, HubFile file, const DownloadRequest &request, const std::function<void(const HttpAnswer &)> &refuse) {
  Partial partial(file, request);
  bool again = true; // once, when what was gone on with turns out wrong
  for (Patience patience; !partial.complete() || !hasContent(request.partial, file);) {
    if (partial.complete()) {
      const bool stale = partial.resumed() && std::exchange(again, false);
      partial.startAnew();
      if (!stale) {
        std::error_code ignored;
        fs::remove(request.partial, ignored);
        throw Failure("what came for " + request.called + " has not the hash that the hub names (" + partialName(file) +
                      "), so it was thrown away; try again, and see your proxy");
      }
    }
    const uint64_t before = partial.size();
    std::string broken;
    std::optional<std::chrono::seconds> asked;
    try {
      HttpAnswer answer = http.get(request.url, &partial, partial.rest());
      const bool good = answer.status == 200 || answer.status == 206;
      if (good && !file.size)
        file.size = partial.size(); // nobody said so before, and the connection ended well
      if (good && partial.complete())
        continue;
      if (answer.status == 416) { // there is no such rest
        partial.startAnew();
        broken = hostOf(answer.url) + " has no such part of " + request.called;
      } else if (good) {
        broken = "the connection to " + hostOf(answer.url) + " ended early";
      } else if (isTransient(answer.status) || (answer.status == 403 && !http.isOurs(answer.url))) { // or a link that has expired
        broken = hostOf(answer.url) + " answers " + std::to_string(answer.status) + " for " + request.called;
        asked = retryAfter(answer);
      } else {
        refuse(answer);
      }
    } catch (const HttpError &error) {
      if (error.kind != HttpError::Kind::Broken)
        throw Failure(error.what());
      broken = error.what();
    }
    // A connection that breaks after every megabyte comes to an end too.
    if (partial.size() > before && partial.size() - before >= std::min<uint64_t>(1 << 20, file.size.value_or(0) / 64 + 1))
      patience.progressed();
    patience.wait(broken + (partial.size() ? " (" + formatBytes(double(partial.size())) + " of it are kept)" : ""), asked);
  }
  partial.sync();
  return file.hasHash();
}

} // namespace heddle::tool
