//===- ContentHash.h - SHA-256 of texts and files -----------------------------------------------------------------------===//
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace heddle {

/// A running SHA-256 (OpenSSL's libcrypto). Used once: update… then hex().
class Sha256 {
public:
  Sha256();
  ~Sha256();
  Sha256 &update(std::span<const std::byte> bytes);
  Sha256 &update(std::string_view text);
  /// A field that cannot run into its neighbour: its length goes first.
  Sha256 &field(std::string_view text);
  std::string hex(); // 64 lower-case digits

private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// SHA-256 of a file's bytes, in hexadecimal. Throws PlanError, also when the file changes while it is read.
std::string hashFile(const std::filesystem::path &path);

} // namespace heddle
