//===- Output.h - standard output that does not lose anything in silence -----------------------------------------------===//
#pragma once
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>

namespace heddle {

/// Standard output took less than everything. One line: why, and what to do.
struct OutputError : std::runtime_error {
  explicit OutputError(int error);
  int error; // errno: EPIPE when the reader went away
};

/// While it lives, std::cout writes to descriptor 1 and throws OutputError where that fails: at the failing << or std::flush, so
/// that the work behind it ends too. Everything that a program prints goes through std::cout; printf has a buffer of its own,
/// which loses what it cannot write. One at a time; one thread at a time uses std::cout and std::cerr.
class CheckedOutput {
public:
  CheckedOutput();
  ~CheckedOutput();
  CheckedOutput(const CheckedOutput &) = delete;
  /// Before the program ends: throws OutputError for all that is lost and was not thrown for yet.
  void flush();

private:
  class Buffer;
  class Before;
  std::unique_ptr<Buffer> buffer_;
  std::unique_ptr<Before> tied_;
  std::streambuf *before_;
  std::ostream *tiedBefore_;
};

/// printf into a string, for std::cout.
[[gnu::format(printf, 1, 2)]] std::string format(const char *pattern, ...);

} // namespace heddle
