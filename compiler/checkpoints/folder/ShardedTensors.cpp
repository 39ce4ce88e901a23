//===- ShardedTensors.cpp - the tensors of a model folder -----------------------------------------------------------===//
#include "compiler/checkpoints/folder/ShardedTensors.h"
#include "compiler/checkpoints/MappedFile.h"
#include "compiler/checkpoints/folder/Json.h"
#include <algorithm>
#include <map>

namespace heddle {
namespace fs = std::filesystem;

constexpr size_t kLongestName = 255; // of a file

/// The name of a file whose weights are Python objects, if the folder has one.
static std::string pickleIn(const fs::path &folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string ending = entry->path().extension().string();
    if (ending == ".bin" || ending == ".pt" || ending == ".pth" || ending == ".ckpt" ||
        entry->path().filename().string().ends_with(".bin.index.json"))
      return entry->path().filename().string();
  }
  return "";
}

ShardedTensors::ShardedTensors(const fs::path &folder) {
  const fs::path whole = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (isThere(whole)) // before an index, as transformers does
    files_.push_back(SafetensorsFile::open(whole));
  else if (isThere(index))
    openShards(folder, index);
  else if (std::string pickle = pickleIn(folder); !pickle.empty())
    throw CompileError((folder / pickle).string() +
                       ": is a pickle, which can run any program when it is read: use a model with model.safetensors, or convert "
                       "this one (transformers: save_pretrained(…, safe_serialization=True))");
  else
    throw CompileError(folder.string() +
                       ": has neither model.safetensors nor model.safetensors.index.json: download its weights");
}

void ShardedTensors::openShards(const fs::path &folder, const fs::path &index) {
  const std::string shown = index.string();
  const Json json = readJsonFile(index);
  auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object() || map->empty())
    throw CompileError(shown + ": weight_map, which says where tensors are, is missing or empty: download it again");
  std::map<std::string, std::map<std::string, bool>> shards; // file: tensors of it, and whether it has them
  for (const auto &[tensor, file] : map->items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    const bool plain = name.size() <= kLongestName && std::ranges::none_of(name, [](char c) {
                         return c == '/' || static_cast<unsigned char>(c) < ' ' || c == 0x7F;
                       });
    if (!plain || !name.ends_with(".safetensors"))
      throw CompileError(shown + ": weight_map of " + quotedForError(tensor) +
                         " names no .safetensors file of this folder: download it again");
    shards[name].emplace(tensor, false);
  }
  for (auto &[name, tensors] : shards) {
    const fs::path path = folder / name;
    if (!isThere(path))
      throw CompileError(path.string() + ": this shard of the model is missing (model.safetensors.index.json names it): download "
                                         "it again");
    SafetensorsFile file = SafetensorsFile::open(path);
    for (const SafetensorsTensor &tensor : file.tensors()) {
      if (auto listed = tensors.find(tensor.name); listed != tensors.end()) {
        listed->second = true;
        continue;
      }
      auto elsewhere = map->find(tensor.name);
      throw CompileError(path.string() + ": tensor " + quotedForError(tensor.name) +
                         (elsewhere != map->end()
                              ? " is doubled: model.safetensors.index.json has it in " + elsewhere->get<std::string>()
                              : " is not in model.safetensors.index.json") +
                         ": the files are not of one model, download them again");
    }
    for (const auto &[tensor, there] : tensors)
      if (!there)
        throw CompileError(path.string() + ": tensor " + quotedForError(tensor) +
                           " is missing, which model.safetensors.index.json has in this file: download it again");
    files_.push_back(std::move(file));
  }
}

ShardedTensors::Found ShardedTensors::find(std::string_view name) const {
  for (const SafetensorsFile &file : files_)
    if (const SafetensorsTensor *tensor = file.find(name))
      return {&file, tensor};
  return {};
}

} // namespace heddle
