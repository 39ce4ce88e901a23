//===- Npy.h - a matrix of f32 as a .npy file, row by row ----------------------------------------------------------------===//
#pragma once
#include "tools/heddle/Interrupt.h"
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>

namespace heddle::tool {

/// A regular file, or a new one, appears in one step: it is written without a name in the target's folder, and finish() puts it
/// in place; without finish(), and when any signal ends the program, nothing remains. On file systems that cannot do that its
/// name is FILE.tmp-PID meanwhile, which SIGKILL leaves there. A symbolic link stays, and what it points to is written so.
/// Anything else, such as /dev/stdout, a FIFO or another device, is written to as it stands.
class OutputFile {
public:
  explicit OutputFile(const std::filesystem::path &target); // throws Failure
  ~OutputFile();
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;
  void write(const void *data, size_t bytes); // throws Failure, also on a full disk
  void finish();
  bool isNewFile() const { return !target_.empty(); } // a regular one, not a device or a pipe

private:
  [[noreturn]] void fail() const;
  void openNew();
  bool putInPlace();
  std::filesystem::path name_, target_; // as given; behind all links, empty: written to directly
  std::filesystem::path temporary_;     // the name of a new file until it is in place
  bool named_ = false;                  // it has that name
  std::optional<ScratchFile> scratch_;
  std::FILE *file_ = nullptr;
};

/// NumPy's format 1.0: float32, little-endian, C order, [rows, columns]. All rows must be written before finish().
class NpyWriter {
public:
  NpyWriter(const std::filesystem::path &target, int64_t rows, int64_t columns);
  void row(std::span<const float> values);
  void finish();
  bool isNewFile() const { return file_.isNewFile(); }

private:
  OutputFile file_;
  int64_t left_, columns_;
};

} // namespace heddle::tool
