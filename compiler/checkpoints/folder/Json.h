//===- Json.h - JSON files of a model folder ------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/Setting.h"
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace heddle {

using Json = nlohmann::json; // with sorted keys: found at once, however many a hostile file has

/// The object that `text` holds; `file` begins errors. Throws CompileError for what is no JSON object, a key that appears twice
/// and nesting deeper than 32.
Json parseJsonObject(const std::string &text, const std::string &file);
/// The same of a file of at most 64 MiB.
Json readJsonFile(const std::filesystem::path &path);

/// The list that a file of at most 64 MiB holds. Throws CompileError.
Json readJsonList(const std::filesystem::path &path);

/// The leaves of an object, sorted, by keys with dots. An object within a list is its text.
std::vector<std::pair<std::string, Setting>> flattenedJson(const Json &object);

} // namespace heddle
