//===- SentenceTransformers.cpp - how a folder makes one vector of a text -------------------------------------------===//
#include "compiler/checkpoints/folder/SentenceTransformers.h"
#include "compiler/checkpoints/CompileError.h"
#include "compiler/checkpoints/MappedFile.h"

namespace heddle {
namespace fs = std::filesystem;

static std::string textOf(const Json &object, const char *key) {
  auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::vector<std::pair<std::string, Setting>> sentenceTransformersSettings(const fs::path &folder) {
  const fs::path file = folder / "modules.json";
  std::vector<std::pair<std::string, Setting>> settings;
  if (!isThere(file))
    return settings;
  const Json list = readJsonList(file);
  Setting::List kinds;
  for (const Json &module : list) {
    const std::string type = textOf(module, "type"), kind = type.substr(type.rfind('.') + 1), path = textOf(module, "path");
    if (kind.empty())
      throw CompileError(file.string() + ": a module has no type: download it again");
    kinds.push_back({kind});
    if (kind != "Pooling")
      continue;
    if (path.empty() || path.find_first_of(std::string("/\\\0", 3)) != std::string::npos || path.starts_with('.'))
      throw CompileError(file.string() + ": the module Pooling has the path " + quotedForError(path) +
                         ", which is no folder beside it: download it again");
    for (auto &[key, value] : flattenedJson(readJsonFile(folder / path / "config.json")))
      settings.emplace_back("sentence_transformers.pooling." + key, std::move(value));
  }
  settings.emplace_back("sentence_transformers.modules", Setting{std::move(kinds)});
  return settings;
}

} // namespace heddle
