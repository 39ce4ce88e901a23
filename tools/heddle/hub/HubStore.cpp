//===- HubStore.cpp - models of the hub on this machine -------------------------------------------------------------------===//
#include "tools/heddle/hub/HubStore.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/KnownModels.h"
#include "tools/heddle/hub/Http.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

namespace heddle::tool {
namespace fs = std::filesystem;
namespace {

fs::path hubDirectory() { return modelsDirectory() / "hf"; }

/// A revision may hold slashes, and none of the characters of an encoding (parseHubName).
std::string repositoryFolder(const HubName &name) {
  return name.name + (name.revision == "main" ? "" : "@" + urlEncoded(name.revision));
}

std::string decoded(std::string text) {
  for (size_t at = 0; (at = text.find("%2F", at)) != text.npos;)
    text.replace(at, 3, "/");
  return text;
}

/// Every ORG/NAME[@REVISION] below `kind`; what nobody could have pulled is passed over.
std::vector<HubName> repositoriesIn(const char *kind) {
  std::vector<HubName> names;
  std::error_code error;
  for (fs::directory_iterator at(hubDirectory() / kind, error), end; !error && at != end; at.increment(error)) {
    std::error_code inner;
    for (fs::directory_iterator in(at->path(), inner); !inner && in != end; in.increment(inner)) {
      try {
        names.push_back(parseHubName("hf:" + at->path().filename().string() + "/" + decoded(in->path().filename().string())));
      } catch (const UsageError &) {
      }
    }
  }
  return names;
}

HubModel described(HubName name, fs::path path, std::vector<fs::path> files, const fs::path &touched, bool isModel) {
  HubModel model{std::move(name), std::move(path), std::move(files), 0, 0, isModel};
  for (const fs::path &file : model.files)
    if (struct stat info; ::stat(file.c_str(), &info) == 0) {
      model.bytes += uint64_t(info.st_size);
      if (file == touched)
        model.used = info.st_atim.tv_sec;
    }
  return model;
}

HubModel folderModel(const HubName &name) {
  const fs::path folder = hubFolderOf(name);
  std::vector<fs::path> files;
  for (const std::string &path : filesBelow(folder))
    files.push_back(folder / path);
  return described(name.with(""), folder, std::move(files), folder / "config.json", true);
}

HubModel fileModel(const HubName &name, const GgufSet &set) {
  const fs::path folder = hubFilesOf(name);
  std::vector<fs::path> files;
  for (const std::string &path : set.files)
    files.push_back(folder / path);
  return described(name.with(set.files[0]), files[0], files, files[0], true);
}

bool hasFolder(const HubName &name) {
  std::error_code error;
  return fs::is_regular_file(hubFolderOf(name) / "config.json", error);
}

std::vector<GgufSet> wholeSets(std::vector<GgufSet> sets) {
  std::erase_if(sets, [](const GgufSet &set) { return !set.whole(); });
  return sets;
}

void removeFile(const fs::path &file) {
  if (::unlink(file.c_str()) != 0 && errno != ENOENT)
    throw Failure(file.string() + " cannot be removed: " + std::strerror(errno));
}

} // namespace

fs::path hubFolderOf(const HubName &name) { return hubDirectory() / "folders" / name.organisation / repositoryFolder(name); }
fs::path hubFilesOf(const HubName &name) { return hubDirectory() / "files" / name.organisation / repositoryFolder(name); }
fs::path hubPartialOf(const HubName &name) { return hubDirectory() / "partial" / name.organisation / repositoryFolder(name); }
fs::path hubLockOf(const HubName &name) {
  return hubDirectory() / "locks" / name.organisation / (repositoryFolder(name) + ".lock");
}

std::vector<std::string> filesBelow(const fs::path &folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code gone;
    if (at->is_regular_file(gone) && !gone)
      paths.push_back(at->path().lexically_relative(folder).string());
  }
  std::ranges::sort(paths);
  return paths;
}

std::vector<HubModel> hubModels() {
  std::vector<HubModel> models;
  for (const HubName &name : repositoriesIn("folders"))
    if (hasFolder(name))
      models.push_back(folderModel(name));
  for (const HubName &name : repositoriesIn("files")) {
    auto paths = filesBelow(hubFilesOf(name));
    for (const GgufSet &set : wholeSets(allGgufs(paths)))
      models.push_back(fileModel(name, set));
    for (const std::string &path : paths)
      if (!isGguf(path))
        models.push_back(
            described(name.with(path), hubFilesOf(name) / path, {hubFilesOf(name) / path}, hubFilesOf(name) / path, false));
  }
  std::ranges::sort(models, {}, [](const HubModel &model) { return model.name.text(); });
  return models;
}

std::optional<HubModel> findHubModel(const HubName &name) {
  if (name.file.empty() && hasFolder(name))
    return folderModel(name);
  const auto paths = filesBelow(hubFilesOf(name));
  const auto sets = wholeSets(name.file.empty() ? ggufSets(paths) : ggufsNamed(paths, name.file));
  if (sets.size() == 1)
    return fileModel(name, sets[0]);
  if (!name.file.empty() && std::ranges::find(paths, name.file) != paths.end() && !isGguf(name.file))
    return described(name, hubFilesOf(name) / name.file, {hubFilesOf(name) / name.file}, hubFilesOf(name) / name.file, false);
  if (sets.size() > 1)
    throw Failure("'" + name.text() + "' may be any of " + namesOf(sets) + "; choose one: " + name.with(sets[0].files[0]).text());
  return {};
}

HubModel requireHubModel(const HubName &name) {
  if (auto found = findHubModel(name))
    return *found;
  const auto all = wholeSets(ggufSets(filesBelow(hubFilesOf(name))));
  throw Failure("'" + name.text() + "' is not on this machine yet" +
                (all.empty() ? "" : " (of its repository are " + namesOf(all) + ")") + "; fetch it with: heddle pull " +
                name.text());
}

void removeHubModel(const HubModel &model) {
  std::error_code error;
  if (model.name.file.empty()) {
    removeFile(model.path / "config.json"); // from here on it is none
    fs::remove_all(model.path, error);
    if (error)
      throw Failure(model.path.string() + " cannot be removed: " + error.message());
  }
  for (const fs::path &file : model.files) {
    removeFile(file);
    removeEmptyFolders(file.parent_path());
  }
}

uint64_t removeHubPartial(const HubName &name) {
  const fs::path partial = hubPartialOf(name);
  uint64_t bytes = 0;
  std::error_code error;
  for (const std::string &path : filesBelow(partial))
    if (auto size = fs::file_size(partial / path, error); !error)
      bytes += size;
  fs::remove_all(partial, error);
  if (error)
    throw Failure(partial.string() + " cannot be removed: " + error.message());
  removeEmptyFolders(partial.parent_path());
  return bytes;
}

void removeEmptyFolders(fs::path folder) {
  const fs::path top = hubDirectory();
  for (; folder != top && folder.string().starts_with(top.string() + "/"); folder = folder.parent_path())
    if (::rmdir(folder.c_str()) != 0 && errno != ENOENT)
      return;
}

} // namespace heddle::tool
