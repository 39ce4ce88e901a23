//===- PlanWriter.cpp - writes a plan, all of it or nothing -------------------------------------------------------------===//
#include "runtime/plan/PlanWriter.h"
#include "runtime/plan/ManifestJson.h"
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace heddle {
namespace {
namespace fs = std::filesystem;

/// Refuses to replace what is not a plan: `-o` may name anything.
void checkReplaceable(const fs::path &destination) {
  std::error_code error;
  auto status = fs::symlink_status(destination, error);
  if (status.type() == fs::file_type::not_found)
    return;
  bool plan = status.type() == fs::file_type::directory &&
              (fs::exists(destination / "manifest.json", error) || fs::is_empty(destination, error));
  if (!plan)
    throw PlanError(destination.string() + ": exists and is no plan: choose another name or remove it");
}

std::string temporaryPrefix(const fs::path &destination) { return "." + destination.filename().string() + ".tmp-"; }

} // namespace

/// Runs a step of writing; on any error everything written goes first. Errors name the destination, which the user knows.
template <class Action> void PlanWriter::guarded(Action action) {
  if (temporary_.empty())
    throw PlanError(destination_.string() + ": writing it failed before: start again");
  const std::string hidden = temporary_.string();
  auto fail = [&](std::string text) {
    discard();
    if (size_t at = text.find(hidden); at != std::string::npos)
      text.replace(at, hidden.size(), destination_.string());
    throw PlanError(text);
  };
  try {
    action();
  } catch (const PlanError &e) {
    fail(e.what());
  } catch (const std::exception &e) { // std::filesystem
    fail(destination_.string() + ": cannot write: " + e.what());
  }
}

PlanWriter::PlanWriter(const fs::path &destination) {
  destination_ = fs::absolute(destination).lexically_normal();
  if (!destination_.has_filename())
    destination_ = destination_.parent_path();
  if (!destination_.has_filename())
    throw PlanError(destination.string() + ": is no name for a plan: choose another");
  std::error_code error;
  if (!fs::is_directory(destination_.parent_path(), error))
    throw PlanError(destination_.parent_path().string() + ": no such folder: create it or choose another");
  checkReplaceable(destination_);
  sweepAbandoned();
  begin();
}

PlanWriter::~PlanWriter() { discard(); }

/// Makes and locks the temporary folder. A sweep by another writer may take it before it is locked: then once more.
void PlanWriter::begin() {
  for (;;) {
    const fs::path folder = destination_.parent_path() / (temporaryPrefix(destination_) + files::randomName());
    if (::mkdir(folder.c_str(), 0777) != 0) {
      if (errno == EEXIST)
        continue;
      files::throwSystem(destination_, "write", errno);
    }
    int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
      continue;
    if (fd < 0) {
      int error = errno;
      ::rmdir(folder.c_str());
      files::throwSystem(destination_, "write", error);
    }
    lock_ = files::File(fd, folder);
    struct stat info;
    // A file system without locks on folders gives another error: nothing is swept there either.
    bool swept = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (swept || ::stat(folder.c_str(), &info) != 0)
      continue;
    temporary_ = folder;
    break;
  }
  guarded([&] { weights_ = files::File(temporary_ / "weights.bin", O_RDWR | O_CREAT | O_EXCL, "create"); });
}

/// Removes temporary folders that no living writer holds.
void PlanWriter::sweepAbandoned() const {
  const std::string prefix = temporaryPrefix(destination_);
  std::error_code error;
  for (const auto &entry : fs::directory_iterator(destination_.parent_path(), error)) {
    if (entry.path().filename().string().rfind(prefix, 0) != 0)
      continue;
    int fd = ::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
      continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0)
      files::removeTree(entry.path());
    ::close(fd);
  }
}

void PlanWriter::addFile(std::string_view relative, std::string_view bytes) {
  guarded([&] {
    fs::path name = fs::path(relative).lexically_normal();
    if (name.empty() || name.is_absolute() || *name.begin() == ".." || name == "weights.bin" || name == "manifest.json")
      throw PlanError(destination_.string() + ": '" + std::string(relative) + "' is no name for a file of a plan");
    fs::create_directories((temporary_ / name).parent_path());
    files::writeFile(temporary_ / name, bytes);
  });
}

void PlanWriter::addFile(std::string_view relative, std::span<const std::byte> bytes) {
  addFile(relative, std::string_view(reinterpret_cast<const char *>(bytes.data()), bytes.size()));
}

uint64_t PlanWriter::reserveWeight(uint64_t bytes) {
  uint64_t offset = (reserved_ + kWeightAlignment - 1) / kWeightAlignment * kWeightAlignment;
  reserved_ = offset + bytes;
  reservedSum_ += bytes;
  return offset;
}

void PlanWriter::writeWeight(uint64_t offset, std::span<const std::byte> part) {
  // Not `guarded`: other threads may be writing, and discarding is the owner's (its destructor or next call does it).
  if (offset > reserved_ || part.size() > reserved_ - offset)
    throw PlanError(destination_.string() + ": a weight is written outside the room reserved for it");
  weights_.writeAt(offset, part);
  written_ += part.size();
}

uint64_t PlanWriter::addWeight(std::span<const std::byte> bytes) {
  uint64_t offset = reserveWeight(bytes.size());
  guarded([&] { writeWeight(offset, bytes); });
  return offset;
}

void PlanWriter::finish(const Manifest &manifest) {
  guarded([&] {
    if (written_ != reservedSum_)
      throw PlanError(destination_.string() + ": " + std::to_string(written_) + " bytes of weights were written where " +
                      std::to_string(reservedSum_) + " were reserved");
    weights_.close();
    files::writeFile(temporary_ / "manifest.json", manifestToJson(manifest, reserved_));
    Plan::open(temporary_); // whatever a reader would refuse must not be put in place
    files::syncTree(temporary_);
    publish();
    files::syncFolder(destination_.parent_path());
  });
}

/// The temporary folder takes the destination's name, in one step where the kernel can exchange two names.
void PlanWriter::publish() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, destination_.c_str(), RENAME_NOREPLACE) == 0) {
      temporary_.clear();
      return;
    }
    if (errno != EEXIST && errno != ENOTEMPTY && errno != EINVAL && errno != ENOSYS)
      files::throwSystem(destination_, "put in place", errno);
    checkReplaceable(destination_);
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, destination_.c_str(), RENAME_EXCHANGE) == 0) {
      discard(); // the old plan has the temporary name now
      return;
    }
    if (errno == ENOENT)
      continue; // someone removed the old plan meanwhile
    if (errno != EINVAL && errno != ENOSYS)
      files::throwSystem(destination_, "put in place", errno);
    // A file system without exchange (some network ones): for an instant there is no plan, never half a one.
    fs::path aside = temporary_.string() + "-old";
    if (::rename(destination_.c_str(), aside.c_str()) != 0 && errno != ENOENT)
      files::throwSystem(destination_, "replace", errno);
    if (::rename(temporary_.c_str(), destination_.c_str()) == 0) {
      temporary_.clear();
      files::removeTree(aside);
      return;
    }
  }
  throw PlanError(destination_.string() + ": others keep replacing it: try again");
}

void PlanWriter::discard() noexcept {
  if (!temporary_.empty())
    files::removeTree(temporary_);
  temporary_.clear();
  weights_ = {};
  lock_ = {};
}

void replaceManifest(const Plan &plan, const Manifest &manifest) {
  const fs::path final = plan.directory() / "manifest.json", made = plan.directory() / "manifest.json.new";
  std::error_code error;
  const uint64_t weights = fs::file_size(plan.directory() / "weights.bin", error);
  if (error)
    throw PlanError(plan.directory().string() + ": has no weights.bin: compile the model again");
  const std::string text = manifestToJson(manifest, weights);
  manifestFromJson(text, final.string());
  files::writeFile(made, text);
  if (::rename(made.c_str(), final.c_str()) != 0)
    files::throwSystem(final, "replace", errno);
  files::syncFolder(plan.directory());
}

} // namespace heddle
