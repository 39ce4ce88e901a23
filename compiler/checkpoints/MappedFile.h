//===- MappedFile.h - the bytes of a file, mapped -------------------------------------------------------------------===//
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace heddle {

/// Read-only and private; unmapped with the last copy. A file that another process cuts short while it is mapped ends this
/// process by SIGBUS; replace models by renaming.
struct MappedFile {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;

  /// Maps a regular file of at least one byte. Throws CompileError: the file, what is wrong, what to do; `kind` is what to name
  /// instead of a folder or device (".gguf file").
  static MappedFile open(const std::filesystem::path &path, const std::string &kind);
};

/// Whether a folder has such an entry: a link to nothing is one, which open() then names.
bool isThere(const std::filesystem::path &path);

/// The whole of a small text file (a configuration, a template). Throws CompileError when it is longer than `limit` bytes or no
/// UTF-8.
std::string readSmallFile(const std::filesystem::path &path, size_t limit);

} // namespace heddle
