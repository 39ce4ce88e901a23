//===- Npy.cpp - a matrix of f32 as a .npy file, row by row --------------------------------------------------------------===//
#include "tools/heddle/Npy.h"
#include "tools/heddle/Command.h"
#include <bit>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace heddle::tool {
static_assert(std::endian::native == std::endian::little, "the file is little-endian");

AtomicFile::AtomicFile(std::filesystem::path target) : target_(std::move(target)), temporary_(target_) {
  temporary_ += ".tmp-" + std::to_string(getpid());
  std::error_code error;
  if (std::filesystem::is_directory(target_, error))
    throw Failure(target_.string() + " is a folder; name a file");
  file_ = std::fopen(temporary_.c_str(), "wb");
  if (!file_)
    throw Failure(target_.string() + " cannot be written: " + std::strerror(errno) + "; choose a writable folder");
}

AtomicFile::~AtomicFile() {
  if (!file_)
    return;
  std::fclose(file_);
  unlink(temporary_.c_str());
}

void AtomicFile::fail() const {
  throw Failure(target_.string() + " cannot be written: " + std::strerror(errno) + "; nothing was kept, free some space");
}

void AtomicFile::write(const void *data, size_t bytes) {
  if (std::fwrite(data, 1, bytes, file_) != bytes)
    fail();
}

void AtomicFile::finish() {
  if (std::fflush(file_) != 0 || fsync(fileno(file_)) != 0)
    fail();
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0)
    fail();
  std::fclose(file_);
  file_ = nullptr;
}

NpyWriter::NpyWriter(const std::filesystem::path &target, int64_t rows, int64_t columns)
    : file_(target), left_(rows), columns_(columns) {
  std::string header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " + std::to_string(columns) + "), }";
  // Magic, version, length and header together fill a multiple of 64 bytes; the header ends with a line feed.
  constexpr size_t before = 10;
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';
  std::string start("\x93NUMPY\x01\x00", 8);
  start += char(header.size() & 0xff);
  start += char(header.size() >> 8);
  file_.write(start.data(), start.size());
  file_.write(header.data(), header.size());
}

void NpyWriter::row(std::span<const float> values) {
  if (int64_t(values.size()) != columns_ || left_-- <= 0)
    throw Failure("a matrix of logits got a row that it has no place for; this is an error in heddle");
  file_.write(values.data(), values.size_bytes());
}

void NpyWriter::finish() {
  if (left_ != 0)
    throw Failure("the evaluation ended " + std::to_string(left_) + " rows early; nothing was written");
  file_.finish();
}

} // namespace heddle::tool
