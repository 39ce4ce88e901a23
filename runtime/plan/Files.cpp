//===- Files.cpp - POSIX files whose errors are PlanErrors --------------------------------------------------------------===//
#include "runtime/plan/Files.h"
#include "runtime/plan/Plan.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

namespace heddle::files {

void throwSystem(const std::filesystem::path &path, std::string_view doing, int error) {
  std::string advice;
  if (error == ENOSPC || error == EDQUOT)
    advice = ": free some space or choose another folder";
  else if (error == EFBIG)
    advice = ": raise the file size limit (ulimit -f)";
  else if (error == EACCES || error == EPERM || error == EROFS)
    advice = ": check its permissions or choose another folder";
  else if (error == ENOENT)
    advice = ": check the name";
  throw PlanError(path.string() + ": cannot " + std::string(doing) + ": " + std::strerror(error) + advice);
}

File::File(const std::filesystem::path &path, int flags, std::string_view doing, unsigned mode) : path_(path) {
  fd_ = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd_ < 0)
    throwSystem(path, doing, errno);
}

File &File::operator=(File &&other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

File::~File() {
  if (fd_ >= 0)
    ::close(fd_);
}

uint64_t File::size() const {
  struct stat info;
  if (::fstat(fd_, &info) != 0)
    throwSystem(path_, "read its size", errno);
  if (!S_ISREG(info.st_mode))
    throw PlanError(path_.string() + ": is not a regular file: name another");
  return static_cast<uint64_t>(info.st_size);
}

void File::readAt(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    ssize_t n = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      throwSystem(path_, "read", errno);
    if (n == 0)
      throw PlanError(path_.string() + ": ends at byte " + std::to_string(offset) +
                      ", before its end: it was damaged or changed, write it again");
    offset += static_cast<uint64_t>(n);
    out = out.subspan(static_cast<size_t>(n));
  }
}

void File::writeAt(uint64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      throwSystem(path_, "write", errno);
    offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void File::sync() const {
  if (::fsync(fd_) != 0)
    throwSystem(path_, "write", errno);
}

void File::close() {
  int fd = std::exchange(fd_, -1);
  if (fd >= 0 && ::close(fd) != 0 && errno != EINTR)
    throwSystem(path_, "write", errno);
}

std::string readText(const std::filesystem::path &path, uint64_t limit) {
  File file(path, O_RDONLY | O_NONBLOCK, "open");
  uint64_t size = file.size();
  if (size > limit)
    throw PlanError(path.string() + ": has " + std::to_string(size) + " bytes, more than " + std::to_string(limit) +
                    ": compile the model again");
  std::string text(size, '\0');
  file.readAt(0, std::as_writable_bytes(std::span(text)));
  return text;
}

void writeFile(const std::filesystem::path &path, std::string_view bytes) {
  File file(path, O_WRONLY | O_CREAT | O_EXCL, "create");
  file.writeAt(0, std::as_bytes(std::span(bytes)));
  file.close();
}

void syncFolder(const std::filesystem::path &folder) { File(folder, O_RDONLY | O_DIRECTORY, "open").sync(); }

void syncTree(const std::filesystem::path &folder) {
  for (const auto &entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_directory())
      syncFolder(entry.path());
    else
      File(entry.path(), O_RDONLY, "open").sync();
  }
  syncFolder(folder);
}

void removeTree(const std::filesystem::path &path) noexcept {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

std::string randomName() {
  std::random_device device;
  uint64_t bits = static_cast<uint64_t>(device()) << 32 | device();
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(bits));
  return text;
}

} // namespace heddle::files
