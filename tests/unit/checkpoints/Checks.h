// What the tests of this folder share: errors as texts, safetensors bytes, a folder that goes with its test.
#pragma once
#include "compiler/checkpoints/CompileError.h"
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace heddle::test {

inline std::string errorOf(auto &&action) {
  try {
    action();
  } catch (const CompileError &error) {
    const std::string what = error.what();
    EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    return what;
  }
  return "no error";
}

/// A .safetensors file of this header and so many bytes of data, whose value is their index.
inline std::vector<std::byte> safetensorsBytes(const std::string &header, size_t data, uint64_t claimed = UINT64_MAX) {
  const uint64_t length = claimed == UINT64_MAX ? header.size() : claimed;
  std::vector<std::byte> bytes(sizeof length + header.size() + data);
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + sizeof length, header.data(), header.size());
  for (size_t i = 0; i < data; ++i)
    bytes[sizeof length + header.size() + i] = static_cast<std::byte>(i);
  return bytes;
}

class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "heddle-checkpoints-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  const std::filesystem::path &path() const { return path_; }
  void write(const std::string &name, const std::string &text) const { std::ofstream(path_ / name, std::ios::binary) << text; }

private:
  std::filesystem::path path_;
};

} // namespace heddle::test

#define EXPECT_SAYS(error, words) EXPECT_NE((error).find(words), std::string::npos) << (error)
