//===- Files.h - POSIX files whose errors are PlanErrors --------------------------------------------------------------===//
//
// Internal to runtime/plan. std::fstream cannot fsync and hides why a write failed; a plan must not.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace heddle::files {

/// An open file descriptor with the path for its errors. Move-only; closes itself, ignoring errors (close() reports them).
class File {
public:
  File() = default;
  /// `flags` and `mode` as for open(2); O_CLOEXEC is added. `doing` completes "cannot …".
  File(const std::filesystem::path &path, int flags, std::string_view doing, unsigned mode = 0666);
  File(int fd, std::filesystem::path path) : fd_(fd), path_(std::move(path)) {} // takes `fd`
  File(File &&other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
  File &operator=(File &&other) noexcept;
  ~File();

  int fd() const { return fd_; }
  bool isOpen() const { return fd_ >= 0; }
  const std::filesystem::path &path() const { return path_; }
  uint64_t size() const;
  void readAt(uint64_t offset, std::span<std::byte> out) const; // all of it, or throws
  void writeAt(uint64_t offset, std::span<const std::byte> bytes) const;
  void sync() const;
  void close(); // throws when the system could not keep the bytes

private:
  int fd_ = -1;
  std::filesystem::path path_;
};

/// Throws PlanError "PATH: cannot DOING: reason: advice" for `error`, an errno value.
[[noreturn]] void throwSystem(const std::filesystem::path &path, std::string_view doing, int error);

/// A whole file; refuses one of more than `limit` bytes.
std::string readText(const std::filesystem::path &path, uint64_t limit);
void writeFile(const std::filesystem::path &path, std::string_view bytes);

/// fsync of every file and folder under `folder`, itself included.
void syncTree(const std::filesystem::path &folder);
void syncFolder(const std::filesystem::path &folder);

/// Removes a tree; never throws (what is left is swept by the next writer).
void removeTree(const std::filesystem::path &path) noexcept;

/// 16 random hexadecimal digits, for names of temporary things.
std::string randomName();

} // namespace heddle::files
