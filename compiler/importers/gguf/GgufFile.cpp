//===- GgufFile.cpp - maps a GGUF file ----------------------------------------------------------------------------------===//
#include "compiler/importers/gguf/GgufFile.h"
#include "compiler/importers/gguf/GgufParser.h"
#include <algorithm>
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

GgufFile GgufFile::open(const std::filesystem::path &path) {
  const std::string shown = path.string();
  auto fail = [&](const std::string &what) -> GgufError { return GgufError(shown + ": " + what); };
  auto failSystem = [&](std::string_view doing) { return fail("cannot " + std::string(doing) + ": " + std::strerror(errno)); };

  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)}; // non-blocking: a pipe must not hang here
  if (file.fd < 0) {
    if (errno == ENOENT)
      throw fail("no such file: check the name, or fetch a known model with 'heddle pull'");
    throw failSystem("open");
  }
  struct stat info;
  if (::fstat(file.fd, &info) != 0)
    throw failSystem("read its size");
  if (!S_ISREG(info.st_mode))
    throw fail("is not a regular file: name the .gguf file itself");
  if (info.st_size == 0)
    throw fail("is empty: download it again");

  const size_t size = static_cast<size_t>(info.st_size);
  void *base = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (base == MAP_FAILED)
    throw failSystem("map");
  std::shared_ptr<const void> mapping(base, [size](const void *p) { ::munmap(const_cast<void *>(p), size); });
  GgufFile result = parse({static_cast<const std::byte *>(base), size}, shown);
  result.mapping_ = std::move(mapping);
  return result;
}

GgufFile GgufFile::parse(std::span<const std::byte> bytes, std::string name) { return GgufParser(bytes, std::move(name)).run(); }

std::string quotedForError(std::string_view text) {
  static const char *hex = "0123456789abcdef";
  std::string out = "'";
  for (char ch : text.substr(0, 64)) {
    auto c = static_cast<unsigned char>(ch);
    if (c >= 32 && c < 127 && c != '\\' && c != '\'')
      out += ch;
    else
      (((out += "\\x") += hex[c >> 4]) += hex[c & 15]);
  }
  return out + (text.size() > 64 ? "…'" : "'");
}

} // namespace heddle
