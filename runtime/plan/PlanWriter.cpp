//===- PlanWriter.cpp - writes a plan, all of it or nothing -------------------------------------------------------------===//
#include "runtime/plan/PlanWriter.h"
#include "runtime/plan/Checksum.h"
#include "runtime/plan/ManifestJson.h"
#include "runtime/plan/OriginsFile.h"
#include "runtime/plan/WeightSums.h"
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace heddle {
namespace {
namespace fs = std::filesystem;

/// Whether plans, of this version or an older one, have a file of this name.
bool isNameInPlan(const std::string &name) {
  constexpr std::string_view names[] = {"manifest.json",  "manifest.json.new",   "weights.bin", kWeightSums,
                                        "tokenizer.json", "chat_template.jinja", "code.s",      kOriginsFile};
  auto within = [&](std::string_view folder, std::initializer_list<std::string_view> ends) {
    return name.starts_with(folder) && std::ranges::any_of(ends, [&](std::string_view end) { return name.ends_with(end); });
  };
  return std::ranges::find(names, name) != std::end(names) || name == "code" || name == "ir" ||
         within("code/", {".so", ".so.new", ".o"}) || within("ir/", {".mlir", ".ll"});
}

/// Something in a folder that no plan has; empty where all may go.
std::string foreignIn(const fs::path &folder) {
  for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator(); ++it) {
    const std::string name = it->path().lexically_relative(folder).string();
    const bool isFolder = it->symlink_status().type() == fs::file_type::directory;
    if (!isNameInPlan(name) || isFolder != (name == "code" || name == "ir"))
      return name;
  }
  return {};
}

/// Whether the program runs in `folder` or below it.
bool isAround(const fs::path &folder) {
  std::error_code error;
  for (fs::path at = fs::current_path(error); !error && !at.empty(); at = at.parent_path()) {
    if (fs::equivalent(at, folder, error))
      return true;
    if (at == at.parent_path())
      break;
  }
  return false;
}

/// Refuses to replace what is not a plan: `-o` may name anything.
void checkReplaceable(const fs::path &destination) {
  std::error_code error;
  auto refuse = [&](const std::string &what) { throw PlanError(destination.string() + ": " + what); };
  auto status = fs::symlink_status(destination, error);
  if (status.type() == fs::file_type::not_found)
    return;
  if (status.type() == fs::file_type::symlink)
    refuse("is a link: name the folder that it leads to, or choose another name");
  if (status.type() != fs::file_type::directory)
    refuse("exists and is no plan: choose another name or remove it");
  if (isAround(destination))
    refuse("is the folder that you are in, which cannot be replaced: name one inside it, as NAME.plan");
  struct stat own, parent;
  if (::stat(destination.c_str(), &own) == 0 && ::stat(destination.parent_path().c_str(), &parent) == 0 &&
      own.st_dev != parent.st_dev)
    refuse("is the root of a file system, which cannot be replaced: name a folder inside it, as NAME.plan");
  try {
    if (fs::is_empty(destination))
      return;
    if (!fs::exists(destination / "manifest.json"))
      refuse("exists and is no plan: choose another name or remove it");
    if (std::string foreign = foreignIn(destination); !foreign.empty())
      refuse("exists and is no plan, or not only one: it holds " + foreign + "; choose another name or remove that");
    if (!fs::exists(destination / "weights.bin")) // many things have a manifest, and all its other names may be a plan's too
      refuse("exists and is no plan: choose another name or remove it");
  } catch (const fs::filesystem_error &e) {
    refuse("exists and cannot be read: " + e.code().message() + ": choose another name");
  }
}

/// The destination as an absolute path without a slash at its end.
fs::path checkedDestination(const fs::path &given) {
  fs::path destination = fs::absolute(given).lexically_normal();
  if (!destination.has_filename())
    destination = destination.parent_path();
  if (!destination.has_filename())
    throw PlanError(given.string() + ": is no name for a plan: choose another");
  const fs::path folder = destination.parent_path();
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw PlanError(folder.string() + ": no such folder: create it or choose another");
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    files::throwSystem(destination, "write", errno);
  checkReplaceable(destination);
  return destination;
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

void PlanWriter::check(const fs::path &destination) { checkedDestination(destination); }

PlanWriter::PlanWriter(const fs::path &destination) : destination_(checkedDestination(destination)) {
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
    if (name.empty() || name.is_absolute() || *name.begin() == ".." || name == "weights.bin" || name == "manifest.json" ||
        name == kWeightSums)
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

void PlanWriter::writeWeight(uint64_t offset, std::span<const std::byte> part, uint64_t group) {
  // Not `guarded`: other threads may be writing, and discarding is the owner's (its destructor or next call does it).
  if (offset > reserved_ || part.size() > reserved_ - offset)
    throw PlanError(destination_.string() + ": a weight is written outside the room reserved for it");
  weights_.writeAt(offset, part);
  written_ += part.size();
  std::vector<std::pair<uint64_t, uint64_t>> sums;
  const uint64_t step = group > 0 ? group : std::max<uint64_t>(part.size(), 1);
  for (uint64_t at = 0; at < part.size(); at += step)
    sums.emplace_back(offset + at, checksum(part.subspan(at, std::min<uint64_t>(step, part.size() - at))));
  std::lock_guard guard(sumsMutex_);
  sums_.insert(sums_.end(), sums.begin(), sums.end());
}

uint64_t PlanWriter::addWeight(std::span<const std::byte> bytes, uint64_t group) {
  uint64_t offset = reserveWeight(bytes.size());
  guarded([&] { writeWeight(offset, bytes, group); });
  return offset;
}

/// weights.sum. A weight that was written in other parts than row groups has no sums that a reader could use.
void PlanWriter::addSums(const Manifest &manifest) {
  std::ranges::sort(sums_);
  std::vector<uint64_t> sums;
  for (const auto &[offset, sum] : sums_)
    sums.push_back(sum);
  const SumLayout layout = sumLayout(manifest);
  bool fits = sums.size() == layout.count;
  for (size_t i = 0; fits && i < manifest.weights.size(); ++i) {
    const WeightEntry &w = manifest.weights[i];
    for (uint64_t n = 0; fits && n < w.bytes / checkedBytes(w); ++n)
      fits = sums_[layout.first[i] + n].first == w.offset + n * checkedBytes(w);
  }
  if (!fits)
    throw PlanError(destination_.string() + ": its weights were not written in row groups");
  const auto bytes = std::as_bytes(std::span(sums));
  files::writeFile(temporary_ / kWeightSums, {reinterpret_cast<const char *>(bytes.data()), bytes.size()});
}

PlanFile planFile(const fs::path &folder, std::string_view relative) {
  const std::string text = files::readText(folder / relative, UINT64_MAX);
  return {std::string(relative), text.size(), checksumText(checksum(std::as_bytes(std::span(text))))};
}

void PlanWriter::finish(const Manifest &given) {
  guarded([&] {
    Manifest manifest = given;
    if (written_ != reservedSum_)
      throw PlanError(destination_.string() + ": " + std::to_string(written_) + " bytes of weights were written where " +
                      std::to_string(reservedSum_) + " were reserved");
    weights_.close();
    manifest.files.clear();
    for (const auto &entry : fs::recursive_directory_iterator(temporary_))
      if (const std::string name = entry.path().lexically_relative(temporary_).string();
          !entry.is_directory() && name != "weights.bin")
        manifest.files.push_back(planFile(temporary_, name));
    manifestFromJson(manifestToJson(manifest, reserved_), (temporary_ / "manifest.json").string()); // before its numbers are used
    addSums(manifest);
    manifest.files.push_back(planFile(temporary_, kWeightSums));
    std::ranges::sort(manifest.files, {}, &PlanFile::name);
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

void replaceManifest(const Plan &plan, const Manifest &manifest, const std::function<void()> &addFiles) {
  const fs::path final = plan.directory() / "manifest.json", made = plan.directory() / "manifest.json.new";
  std::error_code error;
  const uint64_t weights = fs::file_size(plan.directory() / "weights.bin", error);
  if (error)
    throw PlanError(plan.directory().string() + ": has no weights.bin: compile the model again");
  const std::string text = manifestToJson(manifest, weights);
  manifestFromJson(text, final.string());
  ::unlink(made.c_str()); // what a killed writer left
  try {
    files::writeFile(made, text);
    if (addFiles)
      addFiles();
    if (::rename(made.c_str(), final.c_str()) != 0)
      files::throwSystem(final, "replace", errno);
  } catch (...) {
    ::unlink(made.c_str());
    throw;
  }
  files::syncFolder(plan.directory());
}

} // namespace heddle
