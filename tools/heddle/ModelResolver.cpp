//===- ModelResolver.cpp - what MODEL on a command line means -----------------------------------------------------------===//
#include "tools/heddle/ModelResolver.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/KnownModels.h"
#include "tools/heddle/hub/HubStore.h"
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace heddle::tool {
namespace fs = std::filesystem;

static std::string readMagic(const fs::path &file) {
  std::ifstream in(file, std::ios::binary);
  if (!in)
    throw Failure(file.string() + " cannot be read: " + std::strerror(errno));
  char magic[4] = {};
  in.read(magic, 4);
  return {magic, size_t(in.gcount())};
}

/// What the user calls the model at a path: its last part as given, links not followed, without .gguf or .plan. Other dots belong
/// to the name (Llama-3.2-1B).
static std::string nameOf(const fs::path &path) {
  fs::path last = path.filename();
  if (last.empty()) // x.plan/
    last = path.parent_path().filename();
  std::error_code error;
  if (last.empty() || last == "." || last == "..")
    last = fs::canonical(path, error).filename();
  std::string ending = last.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return (ending == ".gguf" || ending == ".plan" ? last.stem() : last).string();
}

static ResolvedModel resolvePath(const fs::path &path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    if (fs::exists(path / "manifest.json", error))
      return {ResolvedModel::Kind::Plan, fs::canonical(path), nameOf(path)};
    if (fs::exists(fs::symlink_status(path / "config.json", error))) // also a link to nothing, which the compiler names
      return {ResolvedModel::Kind::Folder, fs::canonical(path), nameOf(path)};
    throw Failure(path.string() +
                  " is a folder with neither manifest.json (a plan) nor config.json (a Hugging Face model); give one "
                  "that has, a GGUF file or a pulled name");
  }
  if (!fs::is_regular_file(path, error))
    throw Failure(path.string() +
                  " is neither a file nor a folder; give a plan, a GGUF file, a Hugging Face folder or a pulled name");
  if (readMagic(path) != "GGUF")
    throw Failure(
        path.string() +
        " is no GGUF file (it does not begin with 'GGUF'); give a GGUF file, a Hugging Face folder, a plan or a pulled name");
  return {ResolvedModel::Kind::Gguf, fs::canonical(path), nameOf(path)};
}

ResolvedModel resolveModel(const std::string &model) {
  std::error_code error;
  if (fs::exists(fs::path(model), error))
    return resolvePath(model);
  if (isHubName(model)) {
    ResolvedModel resolved = resolvePath(requireHubModel(parseHubName(model)).path);
    resolved.name = model;
    resolved.pulled = true;
    return resolved;
  }
  bool plainName = !model.empty() && model.find('/') == std::string::npos && model[0] != '.';
  if (plainName && fs::exists(pulledPath(model), error)) {
    ResolvedModel resolved = resolvePath(pulledPath(model));
    resolved.name = model;
    resolved.pulled = true;
    return resolved;
  }
  if (findKnownModel(model))
    throw Failure("'" + model + "' is not on this machine yet; fetch it with: heddle pull " + model);
  if (!plainName)
    throw Failure(model + " does not exist; give a GGUF file, a plan or a pulled name");
  throw Failure("'" + model + "' is neither a file nor a pulled model; heddle pull --list names the known ones");
}

} // namespace heddle::tool
