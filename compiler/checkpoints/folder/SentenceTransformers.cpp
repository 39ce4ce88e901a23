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

/// The name of a folder beside the list.
static bool isFolderName(const std::string &path) {
  return !path.empty() && path.front() != '.' && path.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

void SentenceTransformers::read(const fs::path &file, const std::string &part) {
  files_.emplace_back(part, file);
  for (auto &[key, value] : flattenedJson(readJsonFile(file)))
    settings_.emplace_back(std::string(kPrefix) + part + "/" + key, std::move(value));
}

SentenceTransformers::SentenceTransformers(const fs::path &folder) : list_(folder / "modules.json") {
  if (!isThere(list_))
    return;
  Setting::List kinds;
  for (const Json &module : readJsonList(list_)) {
    const std::string type = textOf(module, "type"), kind = type.substr(type.rfind('.') + 1), path = textOf(module, "path");
    auto wrong = [&](const std::string &what) {
      return CompileError(list_.string() + ": the module " + quotedForError(kind) + " has the path " + quotedForError(path) +
                          ", " + what + ": download it again");
    };
    if (kind.empty())
      throw CompileError(list_.string() + ": a module has no type: download it again");
    if (kind == "Transformer" && !path.empty())
      throw wrong("where only a model beside this file is supported");
    if (kind == "Pooling" && !isFolderName(path))
      throw wrong("which is no folder beside it");
    if (kind == "Pooling" && !isThere(folder / path / "config.json"))
      throw wrong("in which there is no config.json");
    if (kind == "Pooling")
      read(folder / path / "config.json", "pooling");
    kinds.push_back({kind});
  }
  settings_.emplace_back(std::string(kPrefix) + "modules", Setting{std::move(kinds)});
  for (auto [name, part] :
       {std::pair("sentence_bert_config.json", "transformer"), {"config_sentence_transformers.json", "config"}})
    if (isThere(folder / name))
      read(folder / name, part);
}

std::optional<std::string> SentenceTransformers::shownKey(std::string_view key) const {
  if (!key.starts_with(kPrefix))
    return std::nullopt;
  key.remove_prefix(kPrefix.size());
  for (const auto &[part, file] : files_)
    if (key.starts_with(part + "/"))
      return file.string() + ": " + std::string(key.substr(part.size() + 1));
  return list_.string() + ": its list";
}

} // namespace heddle
