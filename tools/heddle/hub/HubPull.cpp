//===- HubPull.cpp - heddle pull hf:ORG/NAME[@REVISION][:FILE] -------------------------------------------------------------===//
//
// The hub's list of files says which there are, at one commit, and their hashes. The model's files come one by one into a folder
// of partial files, named by content; when the last is there and right, they are put in place together. So a pull that ends at
// any moment, also by SIGKILL or a full disk, leaves the old model or none, and the next one goes on where it was.
//===---------------------------------------------------------------------------------------------------------------===//
#include "tools/heddle/hub/HubPull.h"
#include "runtime/host/FileLock.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Interrupt.h"
#include "tools/heddle/KnownModels.h"
#include "tools/heddle/Progress.h"
#include "tools/heddle/hub/Download.h"
#include "tools/heddle/hub/HubStore.h"
#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace heddle::tool {
namespace fs = std::filesystem;
namespace {

/// What of the repository is wanted, and where it goes.
struct Wanted {
  bool folder = false, model = true;
  std::vector<HubFile> files;
  fs::path target; // the folder that gets them
};

/// Bytes and rate of all files of a pull together.
class Meter {
public:
  Meter(const std::string &label, uint64_t total) : progress_(label), total_(total) {}
  void add(int64_t bytes, bool fetched) {
    have_ = uint64_t(std::max<int64_t>(0, int64_t(have_) + bytes));
    const auto now = Clock::now();
    if (fetched && bytes > 0)
      window_ += double(bytes);
    if (double seconds = std::chrono::duration<double>(now - since_).count(); seconds >= 1) {
      rate_ = rate_ > 0 ? 0.6 * rate_ + 0.4 * window_ / seconds : window_ / seconds;
      window_ = 0, since_ = now;
    }
    std::string detail = formatBytes(double(have_)) + " of " + formatBytes(double(total_));
    if (rate_ > 0)
      detail += ", " + formatBytes(rate_) + "/s";
    progress_.update(total_ ? double(have_) / double(total_) : 0, detail);
  }
  uint64_t have() const { return have_; }
  void clear() { progress_.clear(); }

private:
  using Clock = std::chrono::steady_clock;
  Progress progress_;
  uint64_t total_, have_ = 0;
  double rate_ = 0, window_ = 0;
  Clock::time_point since_ = Clock::now();
};

void makeFolder(const fs::path &folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw Failure(folder.string() + " cannot be created: " + error.message() + "; set XDG_DATA_HOME to a writable folder");
}

std::unique_ptr<FileLock> lock(const HubName &name) {
  const fs::path file = hubLockOf(name);
  makeFolder(file.parent_path());
  try {
    return std::make_unique<FileLock>(
        file,
        FileLock::Callbacks{[&] { std::cerr << "another pull of " << name.with("").text() << " is running; waiting for it\n"; },
                            Interruptible::check, [](const std::string &note) { std::cerr << note << "\n"; }});
  } catch (const std::system_error &error) {
    throw Failure(file.string() + " cannot be created: " + error.code().message() +
                  "; make the folder writable, or set XDG_DATA_HOME to another");
  }
}

/// One pull: the hub's list, the choice, the files, and putting them in place.
class Pull {
public:
  explicit Pull(HubName name) : name_(std::move(name)) {}

  int run() {
    listing_ = hub_.list(name_);
    choose();
    auto held = lock(name_);
    try {
      if (isThere())
        return done("is already there and its hashes are right");
      makeFolder(partial());
      forgetOther();
      if (wanted_.folder)
        addShards();
      requireSpace();
      announce();
      fetchAll();
      install();
    } catch (const Interrupted &) {
      const uint64_t kept = bytesKept();
      removeEmptyFolders(partial());
      throw Interrupted{kept ? "interrupted; " + formatBytes(double(kept)) + " are kept, the same command goes on from there"
                             : "interrupted; nothing was kept, run the same command again"};
    } catch (...) {
      removeEmptyFolders(partial());
      throw;
    }
    return done("is ready, at commit " + listing_.commit.substr(0, 12));
  }

private:
  fs::path partial() const { return hubPartialOf(name_); }
  fs::path partialOf(const HubFile &file) const { return partial() / partialName(file); }

  void want(const std::string &path) {
    const HubFile *file = listing_.find(path);
    if (!file)
      throw Failure(std::string(kWeightsIndex) + " of " + name_.repository() + " names " + path +
                    ", which is not in the repository");
    if (!isPlainPath(path))
      throw Failure("the hub calls a file of " + name_.repository() + " '" + path + "', which is no name that is safe to write");
    wanted_.files.push_back(*file);
  }

  void choose() {
    const auto paths = listing_.paths();
    const std::string repository = name_.repository();
    wanted_.target = hubFilesOf(name_);
    const auto sets = name_.file.empty() ? ggufSets(paths) : ggufsNamed(paths, name_.file);
    if (name_.file.empty() && holdsFolderModel(paths)) {
      wanted_.folder = true;
      wanted_.target = hubFolderOf(name_);
      for (const std::string &path : folderFiles(paths))
        want(path);
      // One file wins over an index, as elsewhere; the index names the others (addShards).
      want(listing_.find(kOneWeightsFile) ? kOneWeightsFile : kWeightsIndex);
      if (!sets.empty())
        std::cerr << "taking the folder of safetensors; the repository has GGUF files too, by " << name_.with("FILE").text()
                  << ": " << namesOf(sets) << "\n";
      return;
    }
    if (sets.size() == 1) {
      if (!sets[0].whole())
        throw Failure(repository + " has only " + std::to_string(sets[0].files.size()) + " of the " +
                      std::to_string(sets[0].declared) + " parts of " + sets[0].files[0]);
      for (const std::string &path : sets[0].files)
        want(path);
      return;
    }
    if (sets.size() > 1)
      throw Failure(repository + " has " + std::to_string(sets.size()) + " GGUF files" +
                    (name_.file.empty() ? "" : " for '" + name_.file + "'") + "; choose one by its name" +
                    (name_.file.empty() ? " or its quantisation" : "") + ", such as " + name_.with(sets[0].files[0]).text() +
                    ": " + namesOf(sets));
    if (!name_.file.empty() && listing_.find(name_.file)) { // a file that is asked for by name
      wanted_.model = false;
      return want(name_.file);
    }
    refuseChoice(paths);
  }

  [[noreturn]] void refuseChoice(const std::vector<std::string> &paths) {
    const std::string where = name_.repository() + (name_.revision == "main" ? "" : " at " + name_.revision);
    const auto sets = ggufSets(paths);
    if (!name_.file.empty()) {
      std::string near = didYouMean(name_.file, paths);
      throw Failure(where + " has no file " + name_.file +
                    (!near.empty()  ? near
                     : sets.empty() ? "; see " + hub_.http().endpoint() + "/" + name_.repository() + "/tree/" + name_.revision
                                    : "; its GGUF files are " + namesOf(sets)));
    }
    auto endsWith = [&](auto... endings) {
      auto found = std::ranges::find_if(paths, [&](const std::string &path) { return (path.ends_with(endings) || ...); });
      return found == paths.end() ? std::string() : *found;
    };
    if (std::string weights = endsWith(".safetensors"); !weights.empty())
      throw Failure(where + " has " + weights + ", but not config.json with " + kOneWeightsFile + " or " + kWeightsIndex +
                    ", which a model is read from");
    if (std::string pickle = endsWith(".bin", ".pt", ".pth", ".ckpt"); !pickle.empty())
      throw Failure(where + " has its weights as " + pickle +
                    " only, a pickle, which can run code when it is read; look for a "
                    "revision or a repository with safetensors or GGUF files");
    throw Failure(where + " holds no model that Heddle reads: neither safetensors nor a GGUF file");
  }

  void addShards() {
    auto index = std::ranges::find(wanted_.files, kWeightsIndex, &HubFile::path);
    if (index == wanted_.files.end())
      return;
    Meter meter("pulling " + name_.text(), index->size.value_or(0));
    fetch(*index, meter);
    std::ifstream in(partialOf(*index), std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    for (const std::string &path : shardsOf(text.str(), name_.repository()))
      want(path);
  }

  /// The whole model is in place, with nothing beside it. What of it is right becomes a partial file, as links cost nothing.
  bool isThere() {
    std::vector<HubFile> needed = wanted_.files;
    uint64_t total = 0;
    bool all = true;
    if (wanted_.folder && std::ranges::find(needed, kWeightsIndex, &HubFile::path) != needed.end()) {
      const HubFile *index = listing_.find(kWeightsIndex);
      std::ifstream in(wanted_.target / kWeightsIndex, std::ios::binary);
      std::stringstream text;
      text << in.rdbuf();
      if (!hasContent(wanted_.target / kWeightsIndex, *index))
        all = false;
      else
        for (const std::string &path : shardsOf(text.str(), name_.repository()))
          if (const HubFile *file = listing_.find(path))
            needed.push_back(*file);
    }
    for (const HubFile &file : needed)
      total += file.size.value_or(0);
    Meter meter("checking " + name_.text(), total);
    std::vector<HubFile> right;
    for (const HubFile &file : needed) {
      if (hasContent(wanted_.target / file.path, file, [&](uint64_t bytes) { meter.add(int64_t(bytes), false); }))
        right.push_back(file);
      else
        all = false;
    }
    if (all && (!wanted_.folder || filesBelow(wanted_.target).size() == needed.size())) {
      wanted_.files = std::move(needed);
      return true;
    }
    for (const HubFile &file : right) {
      makeFolder(partial());
      std::error_code ignored; // without links it comes again
      fs::remove(partialOf(file), ignored);
      fs::create_hard_link(wanted_.target / file.path, partialOf(file), ignored);
    }
    return false;
  }

  /// Partial files of content that the repository no longer has.
  void forgetOther() {
    std::set<std::string> known;
    for (const HubFile &file : listing_.files)
      known.insert({partialName(file), partialName(file) + ".etag"});
    std::error_code ignored;
    for (const std::string &path : filesBelow(partial()))
      if (!known.contains(path))
        fs::remove_all(partial() / path, ignored);
  }

  uint64_t bytesKept() const {
    std::set<std::string> counted;
    uint64_t bytes = 0;
    std::error_code error;
    for (const HubFile &file : wanted_.files)
      if (counted.insert(partialName(file)).second)
        if (auto size = fs::file_size(partialOf(file), error); !error)
          bytes += size;
    return bytes;
  }

  uint64_t bytesWanted() const {
    uint64_t bytes = 0;
    for (const HubFile &file : wanted_.files)
      bytes += file.size.value_or(0);
    return bytes;
  }

  void requireSpace() const {
    constexpr uint64_t margin = 1 << 20;
    const uint64_t wanted = bytesWanted(), kept = std::min(wanted, bytesKept());
    std::error_code error;
    if (auto space = fs::space(partial(), error); !error && space.available < wanted - kept + margin)
      throw Failure(modelsDirectory().string() + " has " + formatBytes(double(space.available)) + " free, but " + name_.text() +
                    " needs " + formatBytes(double(wanted - kept + margin)) +
                    "; free some space, or set XDG_DATA_HOME to another disk");
  }

  void announce() const {
    const uint64_t kept = bytesKept();
    std::cerr << "pulling " << name_.text() << ": " << wanted_.files.size()
              << (wanted_.files.size() == 1 ? " file, " : " files, ") << formatBytes(double(bytesWanted()));
    if (kept)
      std::cerr << ", of which " << formatBytes(double(kept)) << " are here";
    std::cerr << "\n";
  }

  void fetch(const HubFile &file, Meter &meter) {
    DownloadRequest request;
    request.url = hub_.urlOf(name_, listing_.commit, file.path);
    request.called = file.path + " of " + name_.repository();
    request.partial = partialOf(file);
    bool begun = false;
    request.progress = [&](int64_t bytes) { meter.add(bytes, std::exchange(begun, true)); };
    if (!download(hub_.http(), file, request, [&](const HttpAnswer &answer) { hub_.refuse(name_, answer, file.path); }))
      std::cerr << "the hub says no hash of " << file.path << "; only its size was checked\n";
  }

  void fetchAll() {
    Meter meter("pulling " + name_.text(), bytesWanted());
    for (const HubFile &file : wanted_.files)
      fetch(file, meter);
  }

  void install() {
    std::error_code error;
    const fs::path staged = partial() / "whole";
    fs::remove_all(staged, error);
    for (const HubFile &file : wanted_.files) {
      makeFolder((staged / file.path).parent_path());
      fs::create_hard_link(partialOf(file), staged / file.path, error);
      if (error) // a file system without links; two of the files may be one by content
        fs::copy_file(partialOf(file), staged / file.path);
    }
    makeFolder(wanted_.target.parent_path());
    if (wanted_.folder) {
      // In one step also where there is an older one, which is then what is staged.
      if (::renameat2(AT_FDCWD, staged.c_str(), AT_FDCWD, wanted_.target.c_str(), RENAME_EXCHANGE) != 0) {
        fs::remove_all(wanted_.target);
        fs::rename(staged, wanted_.target);
      }
    } else {
      for (auto file = wanted_.files.rbegin(); file != wanted_.files.rend(); ++file) { // the first of a split one is the model
        makeFolder((wanted_.target / file->path).parent_path());
        fs::rename(staged / file->path, wanted_.target / file->path);
      }
    }
    fs::remove_all(staged, error);
    for (const HubFile &file : wanted_.files) {
      fs::remove(partialOf(file), error);
      fs::remove(partialOf(file).string() + ".etag", error);
    }
    removeEmptyFolders(partial());
  }

  int done(const std::string &what) const {
    std::cerr << name_.text() << " " << what;
    if (wanted_.model)
      std::cerr << "; run it with: heddle run " << name_.text();
    std::cerr << "\n";
    std::cout << (wanted_.folder ? wanted_.target : wanted_.target / wanted_.files[0].path).string() << "\n";
    return 0;
  }

  HubName name_;
  Hub hub_;
  HubListing listing_;
  Wanted wanted_;
};

} // namespace

int pullFromHub(const std::string &text) {
  const HubName name = parseHubName(text);
  Interruptible interruptible(Interruptible::All);
  if (hubIsOffline()) {
    const auto found = findHubModel(name);
    if (!found)
      throw Failure(name.text() + " is not on this machine, and HF_HUB_OFFLINE forbids to fetch it; unset it");
    std::cout << found->path.string() << "\n";
    std::cerr << name.text() << " is already there; HF_HUB_OFFLINE forbids to ask the hub for a newer one\n";
    return 0;
  }
  return Pull(name).run();
}

} // namespace heddle::tool
