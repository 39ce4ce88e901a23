//===- MappedFile.cpp - the bytes of a file, mapped -----------------------------------------------------------------===//
#include "compiler/checkpoints/MappedFile.h"
#include "compiler/checkpoints/CompileError.h"
#include "runtime/text/Utf8.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace heddle {
namespace {

/// Closes on every way out.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0)
      ::close(fd);
  }
};

} // namespace

MappedFile MappedFile::open(const std::filesystem::path &path, const std::string &kind) {
  const std::string shown = path.string();
  auto fail = [&](const std::string &what) { return CompileError(shown + ": " + what); };
  auto failSystem = [&](const char *doing) { return fail(std::string("cannot ") + doing + ": " + std::strerror(errno)); };

  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)}; // non-blocking: a pipe must not hang here
  if (file.fd < 0) {
    if (errno == ENOENT && isThere(path))
      throw fail("links to a file that is not there: download it again");
    if (errno == ENOENT)
      throw fail("no such file: check the name, or fetch a known model with 'heddle pull'");
    throw failSystem("open");
  }
  struct stat info;
  if (::fstat(file.fd, &info) != 0)
    throw failSystem("read its size");
  if (!S_ISREG(info.st_mode))
    throw fail("is not a regular file: name the " + kind + " itself");
  if (info.st_size == 0)
    throw fail("is empty: download it again");

  const size_t size = static_cast<size_t>(info.st_size);
  void *base = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (base == MAP_FAILED)
    throw failSystem("map");
  return {{static_cast<const std::byte *>(base), size},
          std::shared_ptr<const void>(base, [size](const void *p) { ::munmap(const_cast<void *>(p), size); })};
}

bool isThere(const std::filesystem::path &path) {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::symlink_status(path, error));
}

std::string readSmallFile(const std::filesystem::path &path, size_t limit) {
  MappedFile file = MappedFile::open(path, "file");
  if (file.bytes.size() > limit)
    throw CompileError(path.string() + ": has " + std::to_string(file.bytes.size()) + " bytes, more than the " +
                       std::to_string(limit) + " that such a file may have: download it again");
  std::string text(reinterpret_cast<const char *>(file.bytes.data()), file.bytes.size());
  if (size_t bad = firstInvalidUtf8(text); bad != std::string::npos)
    throw CompileError(path.string() + ": is not UTF-8 at byte " + std::to_string(bad) + ": download it again");
  return text;
}

} // namespace heddle
