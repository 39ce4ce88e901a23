//===- HubChoice.cpp - which files of a repository a model is -------------------------------------------------------------===//
#include "tools/heddle/hub/HubChoice.h"
#include "tools/heddle/Command.h"
#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

namespace heddle::tool {
namespace {

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return text;
}

std::string lastPart(const std::string &path) { return path.substr(path.find_last_of('/') + 1); }

struct Part {
  std::string stem;
  size_t number, of;
};

/// Of a file that is split: its name without the numbers, which part it is, and of how many.
std::optional<Part> partOf(const std::string &path) {
  static const std::regex form("(.*)-([0-9]{5})-of-([0-9]{5})\\.gguf", std::regex::icase);
  std::smatch found;
  if (path.size() > 1024 || !std::regex_match(path, found, form)) // std::regex recurses by the character
    return {};
  Part part{found[1], std::stoul(found[2]), std::stoul(found[3])};
  return part.number >= 1 && part.number <= part.of ? std::optional(part) : std::nullopt;
}

/// Image and sound projectors; importance matrices, though "x-q4_0-imatrix.gguf" is a model made with one.
bool accompanies(const std::string &path) {
  static const std::regex other("mmproj.*|.*[-.]mmproj.*|imatrix.*|((?!.*q[0-9]).*)[-.]imatrix[.]gguf");
  return std::regex_match(lower(lastPart(path)).substr(0, 255), other);
}

/// The tag stands in the name between dots, dashes, slashes and the ends: Q4_0 is not in Q4_0_4_4, but in model-q4_0.gguf.
bool holdsTag(const std::string &path, const std::string &tag) {
  const std::string name = lower(path), part = lower(tag);
  auto ends = [](char c) { return c == '.' || c == '-' || c == '/'; };
  for (size_t at = name.find(part); at != name.npos; at = name.find(part, at + 1)) {
    const size_t end = at + part.size();
    if ((at == 0 || ends(name[at - 1])) && (end == name.size() || ends(name[end])))
      return true;
  }
  return false;
}

bool holds(const GgufSet &set, const std::string &path) { return std::ranges::find(set.files, path) != set.files.end(); }

} // namespace

bool isGguf(const std::string &path) { return lower(path).ends_with(".gguf"); }

std::vector<GgufSet> allGgufs(const std::vector<std::string> &paths) {
  std::map<std::string, GgufSet> sets; // by name, so in an order of their own
  std::map<std::string, std::map<size_t, std::string>> parts;
  for (const std::string &path : paths) {
    if (auto part = partOf(path)) {
      const std::string key = part->stem + " of " + std::to_string(part->of);
      parts[key][part->number] = path;
      sets[key].declared = part->of;
    } else if (isGguf(path)) {
      sets[path].files = {path};
    }
  }
  for (auto &[key, numbered] : parts)
    for (auto &[number, path] : numbered)
      sets[key].files.push_back(path);
  std::vector<GgufSet> all;
  for (auto &[key, set] : sets)
    all.push_back(std::move(set));
  return all;
}

std::vector<GgufSet> ggufSets(const std::vector<std::string> &paths) {
  auto sets = allGgufs(paths);
  std::erase_if(sets, [](const GgufSet &set) { return accompanies(set.files[0]); });
  return sets;
}

std::vector<GgufSet> ggufsNamed(const std::vector<std::string> &paths, const std::string &wanted) {
  auto sets = allGgufs(paths);
  auto keep = [](std::vector<GgufSet> from, auto &&which) {
    std::erase_if(from, [&](const GgufSet &set) { return !which(set); });
    return from;
  };
  if (auto exact = keep(sets, [&](const GgufSet &set) { return holds(set, wanted); }); !exact.empty())
    return exact;
  auto byName = [&](const GgufSet &set) {
    return lastPart(set.files[0]) == wanted || lastPart(set.files[0]) == wanted + ".gguf";
  };
  if (auto named = keep(sets, byName); !named.empty())
    return named;
  sets = keep(sets, [&](const GgufSet &set) { return !accompanies(set.files[0]) && holdsTag(set.files[0], wanted); });
  // "Q4_K_XL" is also in UD-Q4_K_XL, another way to quantise, but where both are there the plain one is meant.
  auto plain = keep(sets, [&](const GgufSet &set) { return !holdsTag(set.files[0], "UD-" + wanted); });
  return plain.empty() ? sets : plain;
}

std::string namesOf(const std::vector<GgufSet> &sets) {
  constexpr size_t most = 40;
  std::string text;
  for (size_t i = 0; i < std::min(most, sets.size()); ++i)
    text += (i ? ", " : "") + sets[i].files[0];
  return sets.size() > most ? text + " and " + std::to_string(sets.size() - most) + " more" : text;
}

bool holdsFolderModel(const std::vector<std::string> &paths) {
  auto has = [&](const char *name) { return std::ranges::find(paths, name) != paths.end(); };
  return has("config.json") && (has(kOneWeightsFile) || has(kWeightsIndex));
}

std::vector<std::string> folderFiles(const std::vector<std::string> &paths) {
  static const std::set<std::string> needed = {
      "config.json", "generation_config.json",
      // tokenizers: the one file of today, what older ones are made of, and Marian's two
      "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
      "merges.txt", "tokenizer.model", "sentencepiece.bpe.model", "spiece.model", "source.spm", "target.spm",
      "chat_template.jinja", "chat_template.json",
      // encoders: how rows become one vector
      "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "1_Pooling/config.json"};
  std::vector<std::string> chosen;
  for (const std::string &path : paths)
    if (needed.contains(path))
      chosen.push_back(path);
  return chosen;
}

std::vector<std::string> shardsOf(const std::string &index, const std::string &repository) {
  const std::string where = std::string(kWeightsIndex) + " of " + repository;
  const auto value = nlohmann::json::parse(index, nullptr, false);
  if (!value.is_object() || !value.contains("weight_map") || !value["weight_map"].is_object() || value["weight_map"].empty())
    throw Failure(where + " has no weight_map, which says in which files the weights are; it is damaged, or no such index");
  std::set<std::string> files;
  for (const auto &[tensor, file] : value["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (!isPlainPath(name) || name.find('/') != name.npos || !name.ends_with(".safetensors"))
      throw Failure(where + " says that " + tensor + " is in '" + name + "', which is no safetensors file beside it");
    files.insert(name);
  }
  return {files.begin(), files.end()};
}

} // namespace heddle::tool
