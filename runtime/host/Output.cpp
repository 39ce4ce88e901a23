//===- Output.cpp - standard output that does not lose anything in silence ---------------------------------------------===//
#include "runtime/host/Output.h"
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <poll.h>
#include <unistd.h>

namespace heddle {
namespace {

std::string explain(int error) {
  std::string text = "standard output could not be written: ";
  if (error == EBADF)
    return text + "it is closed; leave it open, or send it to /dev/null";
  return text + std::strerror(error) + (error == EPIPE ? "; its reader ended early" : "; free space or check where it goes");
}

} // namespace

OutputError::OutputError(int error) : std::runtime_error(explain(error)), error(error) {}

class CheckedOutput::Buffer final : public std::streambuf {
public:
  Buffer() { setp(bytes_.data(), bytes_.data() + bytes_.size()); }

  /// Throws for what is lost now, and for what was lost before and not said yet.
  void drain() {
    bool lost = !write() || !said_;
    if (failed_ && lost) {
      said_ = true;
      throw OutputError(failed_);
    }
  }
  void drainQuietly() {
    if (!write())
      said_ = false;
  }

protected:
  int_type overflow(int_type c) override {
    drain();
    if (!traits_type::eq_int_type(c, traits_type::eof()))
      sputc(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }

  int sync() override {
    drain();
    return 0;
  }

private:
  /// False when bytes were lost.
  bool write() {
    const char *from = pbase(), *end = pptr();
    setp(bytes_.data(), bytes_.data() + bytes_.size());
    while (from < end && !failed_) {
      ssize_t written = ::write(STDOUT_FILENO, from, static_cast<size_t>(end - from));
      if (written >= 0) {
        from += written;
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) { // whoever has the other end open made it so
        pollfd entry{STDOUT_FILENO, POLLOUT, 0};
        poll(&entry, 1, -1);
      } else if (errno != EINTR) {
        failed_ = errno;
      }
    }
    return from == end;
  }

  std::array<char, 1 << 14> bytes_;
  int failed_ = 0;
  bool said_ = true;
};

/// std::cerr flushes this one before it writes, so that the two streams stay in order; it must not throw our error there.
class CheckedOutput::Before final : private std::streambuf, public std::ostream {
public:
  explicit Before(Buffer &buffer) : std::ostream(static_cast<std::streambuf *>(this)), buffer_(buffer) {}

private:
  int sync() override {
    buffer_.drainQuietly();
    return 0;
  }
  Buffer &buffer_;
};

CheckedOutput::CheckedOutput()
    : buffer_(std::make_unique<Buffer>()), tied_(std::make_unique<Before>(*buffer_)), before_(std::cout.rdbuf(buffer_.get())),
      tiedBefore_(std::cerr.tie(tied_.get())) {
  std::cout.exceptions(std::ios::badbit); // hands on what the buffer throws
}

CheckedOutput::~CheckedOutput() {
  buffer_->drainQuietly(); // whoever met an error has said it
  std::cerr.tie(tiedBefore_);
  std::cout.exceptions(std::ios::goodbit);
  std::cout.rdbuf(before_);
}

void CheckedOutput::flush() { buffer_->drain(); }

std::string format(const char *pattern, ...) {
  va_list arguments, again;
  va_start(arguments, pattern);
  va_copy(again, arguments);
  int length = std::vsnprintf(nullptr, 0, pattern, arguments);
  va_end(arguments);
  std::string text(static_cast<size_t>(std::max(length, 0)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  return text;
}

} // namespace heddle
