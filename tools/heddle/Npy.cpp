//===- Npy.cpp - a matrix of f32 as a .npy file, row by row --------------------------------------------------------------===//
#include "tools/heddle/Npy.h"
#include "tools/heddle/Command.h"
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace heddle::tool {
static_assert(std::endian::native == std::endian::little, "the file is little-endian");

namespace fs = std::filesystem;

namespace {

/// Where writing to a name ends up.
struct Target {
  fs::path file;       // behind all symbolic links, also one that points to a file that is not there yet
  int descriptor = -1; // one of ours, by /dev/stdout, /dev/fd/N or /proc/self/fd/N
};

Target behindLinks(fs::path name) {
  std::error_code error;
  for (int links = 0;; ++links) {
    if (links == 40) // as the system counts
      throw Failure(name.string() + " cannot be written: " + std::strerror(ELOOP));
    if (fs::path parent = fs::canonical(name.has_parent_path() ? name.parent_path() : ".", error); !error)
      name = parent / name.filename();
    if (name.parent_path() == "/proc/" + std::to_string(getpid()) + "/fd")
      return {name, std::atoi(name.filename().c_str())};
    if (!fs::is_symlink(name, error))
      return {name};
    fs::path next = fs::read_symlink(name, error);
    name = next.is_absolute() ? next : name.parent_path() / next;
  }
}

} // namespace

OutputFile::OutputFile(const fs::path &target) : name_(target) {
  std::error_code error;
  if (fs::is_directory(name_, error))
    throw Failure(name_.string() + " is a folder; name a file");
  Target behind = behindLinks(name_);
  fs::file_status what = fs::status(behind.file, error);
  if (behind.descriptor >= 0) { // opened by its name, it would be written from its beginning, over what is there
    int copy = fcntl(behind.descriptor, F_DUPFD_CLOEXEC, 3);
    file_ = copy < 0 ? nullptr : fdopen(copy, "wb");
  } else if (fs::exists(what) && !fs::is_regular_file(what)) {
    file_ = std::fopen(name_.c_str(), "wbe");
  } else {
    target_ = behind.file;
    openNew();
  }
  if (!file_)
    throw Failure(name_.string() + " cannot be written: " + std::strerror(errno) + "; choose a writable folder");
}

void OutputFile::openNew() {
  temporary_ = target_;
  temporary_ += ".tmp-" + std::to_string(getpid());
  scratch_.emplace(temporary_);
  const fs::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  int nameless = access("/proc/self/fd", X_OK) == 0 ? open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;
  if (nameless >= 0) {
    file_ = fdopen(nameless, "wb");
    return;
  }
  file_ = std::fopen(temporary_.c_str(), "wbe"); // also says what is wrong with a folder
  named_ = file_ != nullptr;
}

/// A link cannot replace a file, a rename can: so what is there already is replaced by way of the temporary name.
bool OutputFile::putInPlace() {
  const std::string nameless = "/proc/self/fd/" + std::to_string(fileno(file_));
  auto linkTo = [&](const fs::path &name) {
    return linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
  };
  if (!named_ && linkTo(target_))
    return true;
  if (!named_ && errno != EEXIST)
    return false;
  if (!named_) {
    unlink(temporary_.c_str()); // of a process that had our number and was killed
    named_ = linkTo(temporary_);
  }
  return named_ && std::rename(temporary_.c_str(), target_.c_str()) == 0;
}

OutputFile::~OutputFile() {
  if (!file_)
    return;
  std::fclose(file_);
  if (named_)
    unlink(temporary_.c_str());
}

void OutputFile::fail() const {
  throw Failure(name_.string() + " cannot be written: " + std::strerror(errno) +
                (target_.empty() ? "; check where it goes" : "; nothing was kept, free some space"));
}

void OutputFile::write(const void *data, size_t bytes) {
  if (std::fwrite(data, 1, bytes, file_) != bytes)
    fail();
}

void OutputFile::finish() {
  if (std::fflush(file_) != 0)
    fail();
  if (!target_.empty() && (fsync(fileno(file_)) != 0 || !putInPlace()))
    fail();
  std::fclose(std::exchange(file_, nullptr));
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
