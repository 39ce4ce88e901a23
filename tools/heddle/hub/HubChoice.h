//===- HubChoice.h - which files of a repository a model is ---------------------------------------------------------------===//
//
// Pure: names in, names out. The same rules choose from the hub's list and from what is on this machine already, so that `pull`
// and `run` mean the same by a name.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "tools/heddle/hub/HubName.h"
#include <optional>

namespace heddle::tool {

/// A GGUF file, or all files of one that is split (-00001-of-0000N).
struct GgufSet {
  std::vector<std::string> files; // by number; the first stands for the model
  size_t declared = 1;            // how many there should be
  bool whole() const { return files.size() == declared; }
};

bool isGguf(const std::string &path);
/// Every GGUF file among `paths`.
std::vector<GgufSet> allGgufs(const std::vector<std::string> &paths);
/// Those that are models, without what only accompanies one (image projectors, importance matrices).
std::vector<GgufSet> ggufSets(const std::vector<std::string> &paths);
/// The one that `wanted` names: a path, a file's name where only one folder holds it, or a quantisation such as Q4_K_M; several
/// where that is not decided.
std::vector<GgufSet> ggufsNamed(const std::vector<std::string> &paths, const std::string &wanted);
/// "A, B, C and 12 more".
std::string namesOf(const std::vector<GgufSet> &sets);

/// config.json and safetensors.
bool holdsFolderModel(const std::vector<std::string> &paths);
/// Those of `paths` that a folder model needs beside its weights, in their order.
std::vector<std::string> folderFiles(const std::vector<std::string> &paths);
constexpr const char *kOneWeightsFile = "model.safetensors", *kWeightsIndex = "model.safetensors.index.json";
/// The files that such an index names, once each. Throws Failure where it is none, or names something outside of its folder.
std::vector<std::string> shardsOf(const std::string &index, const std::string &repository);

} // namespace heddle::tool
