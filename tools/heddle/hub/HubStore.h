//===- HubStore.h - models of the hub on this machine ---------------------------------------------------------------------===//
//
// Below hf/ in the folder of models, ORG/NAME standing for ORG/NAME@REVISION too, where the revision is not main:
//   folders/ORG/NAME/        a model of safetensors, a folder that holds config.json
//   files/ORG/NAME/FILE      GGUF files, under the names that they have in the repository
//   partial/ORG/NAME/HASH    what a pull has fetched so far, by content
//   locks/ORG/NAME.lock
// What lies in folders/ and files/ is whole: it was put there by renames, the first part of a split file last.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "tools/heddle/hub/HubChoice.h"
#include <cstdint>
#include <filesystem>

namespace heddle::tool {

std::filesystem::path hubFolderOf(const HubName &name);
std::filesystem::path hubFilesOf(const HubName &name);
std::filesystem::path hubPartialOf(const HubName &name);
std::filesystem::path hubLockOf(const HubName &name);

struct HubModel {
  HubName name;               // with the file, for one that is no folder
  std::filesystem::path path; // the folder, or the (first) file
  std::vector<std::filesystem::path> files;
  uint64_t bytes = 0;
  int64_t used = 0;     // seconds since 1970
  bool isModel = false; // and not another file that was asked for by name
};

/// All of them, by name.
std::vector<HubModel> hubModels();
/// The one that a name means: without a file the folder, else the only GGUF file of that repository. Throws Failure where it may
/// be one of several.
std::optional<HubModel> findHubModel(const HubName &name);
/// The same; throws Failure that says how to fetch it where it is not here.
HubModel requireHubModel(const HubName &name);
/// Removes its files, and the folders that are empty then. Throws Failure.
void removeHubModel(const HubModel &model);
/// What unfinished pulls of this repository have left: the bytes that are gone now.
uint64_t removeHubPartial(const HubName &name);

/// Paths below a folder, as a repository names them; sorted, none where there is no folder.
std::vector<std::string> filesBelow(const std::filesystem::path &folder);
/// Removes a folder where it is empty, then its parents, up to the hub's own.
void removeEmptyFolders(std::filesystem::path folder);

} // namespace heddle::tool
