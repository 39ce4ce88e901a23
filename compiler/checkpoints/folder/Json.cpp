//===- Json.cpp - JSON files of a model folder ----------------------------------------------------------------------===//
#include "compiler/checkpoints/folder/Json.h"
#include "compiler/checkpoints/CompileError.h"
#include "compiler/checkpoints/MappedFile.h"
#include <set>

namespace heddle {
namespace {

constexpr int kDeepest = 32;
constexpr size_t kLargest = size_t{64} << 20;

Setting settingOf(const Json &json) {
  switch (json.type()) {
  case Json::value_t::boolean:
    return {json.get<bool>()};
  case Json::value_t::number_integer:
    return {json.get<int64_t>()};
  case Json::value_t::number_unsigned:
    if (json.get<uint64_t>() > INT64_MAX)
      return {json.get<double>()};
    return {json.get<int64_t>()};
  case Json::value_t::number_float:
    return {json.get<double>()};
  case Json::value_t::string:
    return {json.get<std::string>()};
  case Json::value_t::array: {
    Setting::List list;
    for (const Json &entry : json)
      list.push_back(settingOf(entry));
    return {std::move(list)};
  }
  case Json::value_t::object: // in a list
    return {json.dump()};
  default:
    return {};
  }
}

void flatten(const Json &object, const std::string &prefix, std::vector<std::pair<std::string, Setting>> &out) {
  for (const auto &[key, value] : object.items())
    if (value.is_object() && !value.empty())
      flatten(value, prefix + key + ".", out);
    else
      out.emplace_back(prefix + key, value.is_object() ? Setting{} : settingOf(value));
}

} // namespace

static Json parseJson(const std::string &text, const std::string &file) {
  std::vector<std::set<std::string>> keys;
  auto watch = [&](int depth, Json::parse_event_t event, Json &parsed) {
    if (depth > kDeepest)
      throw CompileError(file + ": is nested deeper than " + std::to_string(kDeepest) + " levels: download it again");
    if (event == Json::parse_event_t::object_start)
      keys.emplace_back();
    else if (event == Json::parse_event_t::object_end)
      keys.pop_back();
    else if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      throw CompileError(file + ": key " + quotedForError(parsed.get<std::string>()) + " appears twice: the file is damaged");
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error &error) {
    throw CompileError(file + ": is no JSON at byte " + std::to_string(error.byte) + ": download it again");
  } catch (const Json::exception &) { // a number beyond every range
    throw CompileError(file + ": holds a number that is out of range: download it again");
  }
}

Json parseJsonObject(const std::string &text, const std::string &file) {
  Json json = parseJson(text, file);
  if (!json.is_object())
    throw CompileError(file + ": is no JSON object: download it again");
  return json;
}

Json readJsonList(const std::filesystem::path &path) {
  Json json = parseJson(readSmallFile(path, kLargest), path.string());
  if (!json.is_array())
    throw CompileError(path.string() + ": is no JSON list: download it again");
  return json;
}

Json readJsonFile(const std::filesystem::path &path) { return parseJsonObject(readSmallFile(path, kLargest), path.string()); }

std::vector<std::pair<std::string, Setting>> flattenedJson(const Json &object) {
  std::vector<std::pair<std::string, Setting>> out;
  flatten(object, "", out);
  return out;
}

} // namespace heddle
