//===- Npy.h - a matrix of f32 as a .npy file, row by row ----------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string_view>

namespace heddle::tool {

/// Writes into FILE.tmp-PID beside the target; finish() puts it in place in one step. Without finish() nothing remains.
class AtomicFile {
public:
  explicit AtomicFile(std::filesystem::path target); // throws Failure
  ~AtomicFile();
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;
  void write(const void *data, size_t bytes); // throws Failure, also on a full disk
  void finish();

private:
  [[noreturn]] void fail() const;
  std::filesystem::path target_, temporary_;
  std::FILE *file_ = nullptr;
};

/// NumPy's format 1.0: float32, little-endian, C order, [rows, columns]. All rows must be written before finish().
class NpyWriter {
public:
  NpyWriter(const std::filesystem::path &target, int64_t rows, int64_t columns);
  void row(std::span<const float> values);
  void finish();

private:
  AtomicFile file_;
  int64_t left_, columns_;
};

} // namespace heddle::tool
