//===- FolderTokenizer.cpp - the tokenizer of a model folder --------------------------------------------------------===//
#include "compiler/checkpoints/folder/FolderTokenizer.h"
#include "compiler/checkpoints/MappedFile.h"
#include "compiler/checkpoints/tokenizer/TokenRoles.h"
#include <algorithm>
#include <charconv>

namespace heddle {
namespace fs = std::filesystem;

constexpr size_t kLargestTokenizer = size_t{512} << 20, kLargestTemplate = size_t{16} << 20;

static Json readIfThere(const fs::path &path) { return isThere(path) ? readJsonFile(path) : Json(); }

static bool isTrue(const Json &object, const char *key) { return object.is_object() && object.value(key, Json()) == Json(true); }

FolderTokenizer::FolderTokenizer(const fs::path &folder, const Json &generation, const Json &config)
    : folder_(folder), generation_(generation), config_(config), names_(readIfThere(path("tokenizer_config.json"))),
      map_(readIfThere(path("special_tokens_map.json"))) {
  if (!isThere(path("tokenizer.json")))
    throw CompileError(path("tokenizer.json").string() +
                       ": is missing; vocabularies in other files are not read: save it with transformers (AutoTokenizer…"
                       "save_pretrained), or use a GGUF file");
  readNames();
  text_ = readSmallFile(path("tokenizer.json"), kLargestTokenizer);
  std::set<std::string> wanted{tokenNamed("bos_token"), tokenNamed("eos_token")};
  for (const Extra &extra : extra_)
    wanted.insert(extra.content);
  tokenizer_ = readTokenizerJson(text_, path("tokenizer.json").string(), wanted);
  addMissingTokens();
}

/// Tokens of tokenizer_config.json's added_tokens_decoder { "id": { "content", "special" } } and of added_tokens.json { content:
/// id }.
void FolderTokenizer::readNames() {
  if (auto added = names_.is_object() ? names_.find("added_tokens_decoder") : names_.end();
      names_.is_object() && added != names_.end() && added->is_object())
    for (const auto &[key, token] : added->items()) {
      int64_t id = -1;
      auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc() || end != key.data() + key.size() || id < 0 || id > INT32_MAX || !token.is_object() ||
          !token.contains("content") || !token["content"].is_string())
        throw CompileError(path("tokenizer_config.json").string() + ": added_tokens_decoder has an entry " + quotedForError(key) +
                           " that is no token: download it again");
      extra_.push_back({id, token["content"].get<std::string>(), isTrue(token, "special")});
    }
  const Json added = readIfThere(path("added_tokens.json"));
  for (const auto &[content, id] : added.items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > INT32_MAX)
      throw CompileError(path("added_tokens.json").string() + ": token " + quotedForError(content) +
                         " has no id: download it again");
    if (std::ranges::find(extra_, content, &Extra::content) == extra_.end())
      extra_.push_back({id.get<int64_t>(), content, false});
  }
}

/// What the other files add to tokenizer.json goes into its list; what they say otherwise than it is an error.
void FolderTokenizer::addMissingTokens() {
  std::vector<Extra> missing;
  for (const Extra &extra : extra_) {
    auto known = tokenizer_.ids.find(extra.content);
    if (known == tokenizer_.ids.end())
      missing.push_back(extra);
    else if (known->second != extra.id)
      throw CompileError(path("tokenizer.json").string() + ": token " + quotedForError(extra.content) + " is " +
                         std::to_string(known->second) + " here and " + std::to_string(extra.id) +
                         " in tokenizer_config.json or added_tokens.json: the files are not of one model, download them again");
  }
  if (missing.empty())
    return;
  Json whole = Json::parse(text_);
  Json &list = whole["added_tokens"];
  if (!list.is_array())
    list = Json::array();
  for (const Extra &extra : missing) {
    list.push_back({{"id", extra.id},
                    {"content", extra.content},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", extra.special}});
    tokenizer_.added.push_back({extra.id, extra.content, extra.special});
    tokenizer_.ids[extra.content] = extra.id;
    tokenizer_.count = std::max(tokenizer_.count, extra.id + 1);
  }
  text_ = whole.dump();
}

/// The text of a special token; empty where the files name none.
std::string FolderTokenizer::tokenNamed(const char *role) const {
  for (const Json *file : {&names_, &map_})
    if (auto found = file->is_object() ? file->find(role) : file->end(); file->is_object() && found != file->end()) {
      if (found->is_string())
        return found->get<std::string>();
      if (found->is_object() && found->contains("content") && (*found)["content"].is_string())
        return (*found)["content"].get<std::string>();
      if (!found->is_null())
        throw CompileError(path(file == &names_ ? "tokenizer_config.json" : "special_tokens_map.json").string() + ": " + role +
                           " is neither a token's text nor null: download it again");
      return "";
    }
  return "";
}

int64_t FolderTokenizer::idNamed(const char *role) const {
  const std::string text = tokenNamed(role);
  if (!text.empty()) {
    if (auto found = tokenizer_.ids.find(text); found != tokenizer_.ids.end())
      return found->second;
    throw CompileError(path("tokenizer_config.json").string() + ": " + role + " is " + quotedForError(text) +
                       ", which tokenizer.json does not have: the files are not of one model, download them again");
  }
  if (names_.is_object() && names_.contains(role)) // null: it has none
    return -1;
  std::vector<int64_t> ids;
  appendIds(config_.value(std::string(role) + "_id", Json()), "config.json: " + std::string(role) + "_id", ids);
  return ids.empty() ? -1 : ids.front();
}

void FolderTokenizer::appendIds(const Json &json, const std::string &what, std::vector<int64_t> &out) const {
  if (json.is_array()) {
    for (const Json &entry : json)
      appendIds(entry, what, out);
    return;
  }
  if (json.is_null())
    return;
  if (!json.is_number_integer() || json.get<int64_t>() >= tokenizer_.count)
    throw CompileError(folder_.string() + "/" + what + " names token " + json.dump() + " of " + std::to_string(tokenizer_.count) +
                       ": the files are not of one model, download them again");
  if (json.get<int64_t>() >= 0)
    out.push_back(json.get<int64_t>());
}

/// Whether prompts begin with BOS: add_bos_token, else the template of the post-processor. Other additions are refused.
bool FolderTokenizer::beginsWithBos(int64_t bos) const {
  bool template_ = false;
  std::vector<Json> steps{tokenizer_.postProcessor};
  if (steps[0].is_object() && steps[0].value("type", "") == "Sequence" && steps[0].contains("processors"))
    steps = steps[0]["processors"].get<std::vector<Json>>();
  for (const Json &step : steps) {
    if (!step.is_object() || step.value("type", "") != "TemplateProcessing" || !step.contains("single"))
      continue;
    bool afterText = false;
    for (const Json &part : step["single"]) {
      if (!part.is_object() || !part.contains("SpecialToken")) {
        afterText = true;
        continue;
      }
      const std::string token = part["SpecialToken"].is_object() ? part["SpecialToken"].value("id", "") : "";
      auto id = tokenizer_.ids.find(token);
      if (afterText || template_ || id == tokenizer_.ids.end() || id->second != bos)
        throw CompileError(path("tokenizer.json").string() + ": post_processor puts " + quotedForError(token) +
                           (afterText ? " after" : " before") +
                           " every text, which is not supported for models that go on from it: use a GGUF file of the model");
      template_ = true;
    }
  }
  const Json asked = names_.is_object() ? names_.value("add_bos_token", Json()) : Json();
  if (!asked.is_null() && !asked.is_boolean())
    throw CompileError(path("tokenizer_config.json").string() + ": add_bos_token is neither true nor false: download it again");
  return asked.is_null() ? template_ : asked.get<bool>() && bos >= 0;
}

std::vector<int64_t> FolderTokenizer::ends(int64_t eos) const {
  constexpr const char *kKey = "eos_token_id";
  std::vector<int64_t> ids;
  if (eos >= 0)
    ids.push_back(eos);
  appendIds(generation_.is_object() ? generation_.value(kKey, Json()) : Json(), std::string("generation_config.json: ") + kKey,
            ids);
  appendIds(config_.value(kKey, Json()), std::string("config.json: ") + kKey, ids);
  GgufVocabulary added;
  for (const TokenizerJson::Added &token : tokenizer_.added) {
    added.tokens.push_back(token.content);
    added.types.push_back(token.special ? kControl : kUserDefined);
  }
  for (int64_t index : endsOfText(added))
    ids.push_back(tokenizer_.added[static_cast<size_t>(index)].id);
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  return ids;
}

TokenizerFiles FolderTokenizer::files(bool continues) const {
  TokenizerFiles out;
  out.json = text_;
  if (!continues)
    return out;
  if (isTrue(names_, "add_eos_token"))
    throw CompileError(path("tokenizer_config.json").string() +
                       ": add_eos_token is true: an end of text after every prompt is not supported: use a model without it");
  out.bos = idNamed("bos_token"), out.eos = idNamed("eos_token");
  out.addBos = beginsWithBos(out.bos);
  out.endOfText = ends(out.eos);
  return out;
}

/// chat_template.jinja, else tokenizer_config.json's text or list of named texts, of which "default" counts, else
/// chat_template.json.
std::string FolderTokenizer::chatTemplate() const {
  if (isThere(path("chat_template.jinja")))
    return readSmallFile(path("chat_template.jinja"), kLargestTemplate);
  const Json other = readIfThere(path("chat_template.json"));
  for (const Json *file : {&names_, &other}) {
    const Json found = file->is_object() ? file->value("chat_template", Json()) : Json();
    if (found.is_string())
      return found.get<std::string>();
    bool known = found.is_null() || found.is_array();
    for (const Json &entry : found.is_array() ? found : Json::array()) {
      known =
          known && entry.is_object() && entry.value("name", Json()).is_string() && entry.value("template", Json()).is_string();
      if (known && entry["name"] == Json("default"))
        return entry["template"].get<std::string>();
    }
    if (!known)
      throw CompileError(path(file == &names_ ? "tokenizer_config.json" : "chat_template.json").string() +
                         ": chat_template is neither a text nor a list of named ones: download it again");
  }
  return "";
}

} // namespace heddle
