//===- TokenizerJson.cpp - what a tokenizer.json says besides how it cuts text --------------------------------------===//
#include "compiler/checkpoints/folder/TokenizerJson.h"
#include "compiler/checkpoints/CompileError.h"
#include <algorithm>
#include <array>

namespace heddle {
namespace {

/// Watches the parser: of the model's vocabulary, an object { token: id } or a list [[token, score], …] by id, only the ids are
/// looked at, and nothing of it or of the merges is kept.
class VocabularyWatch {
public:
  VocabularyWatch(TokenizerJson &out, const std::set<std::string> &wanted, const std::string &file)
      : out_(out), wanted_(wanted), file_(file) {}

  bool operator()(int depth, Json::parse_event_t event, Json &parsed) {
    using Event = Json::parse_event_t;
    if (depth > kDeepest)
      throw CompileError(file_ + ": is nested deeper than " + std::to_string(kDeepest) + " levels: download it again");
    const auto level = static_cast<size_t>(depth);
    if (event == Event::key) {
      if (level < keys_.size())
        keys_[level] = parsed.get<std::string>();
      if (level == 3 && inVocabulary(level))
        token_ = parsed.get<std::string>();
      return true;
    }
    if (level < 2 || keys_[1] != "model" || keys_[2] == "type")
      return true;
    if (!inVocabulary(level))
      return level < 3 && event != Event::array_start; // merges are large
    if (level == 3 && event == Event::value && parsed.is_number_integer())
      note(token_, parsed.get<int64_t>());
    else if (level == 4 && event == Event::value && parsed.is_string())
      note(parsed.get<std::string>(), next_++);
    return event != Event::value && event != Event::array_end;
  }

private:
  static constexpr int kDeepest = 64;

  bool inVocabulary(size_t level) const { return level >= 2 && keys_[1] == "model" && keys_[2] == "vocab"; }
  void note(const std::string &token, int64_t id) {
    if (id < 0 || id > INT32_MAX)
      throw CompileError(file_ + ": model.vocab gives " + quotedForError(token) + " the id " + std::to_string(id) +
                         ": the file is damaged, download it again");
    out_.count = std::max(out_.count, id + 1);
    if (wanted_.contains(token))
      out_.ids[token] = id;
  }

  TokenizerJson &out_;
  const std::set<std::string> &wanted_;
  const std::string &file_;
  std::array<std::string, 4> keys_; // of the object at each depth
  std::string token_;
  int64_t next_ = 0;
};

} // namespace

TokenizerJson readTokenizerJson(const std::string &text, const std::string &file, const std::set<std::string> &wanted) {
  TokenizerJson out;
  Json json;
  try {
    json = Json::parse(text, VocabularyWatch(out, wanted, file));
  } catch (const Json::parse_error &error) {
    throw CompileError(file + ": is no JSON at byte " + std::to_string(error.byte) + ": download it again");
  } catch (const Json::exception &) {
    throw CompileError(file + ": holds a number that is out of range: download it again");
  }
  if (!json.is_object() || !json.contains("model"))
    throw CompileError(file + ": is no tokenizer (it has no \"model\"): download it again");
  if (auto added = json.find("added_tokens"); added != json.end() && !added->is_null()) {
    auto fail = [&] { return CompileError(file + ": added_tokens is no list of tokens with ids: download it again"); };
    if (!added->is_array())
      throw fail();
    for (const Json &entry : *added) {
      if (!entry.is_object() || !entry.contains("id") || !entry["id"].is_number_integer() || !entry.contains("content") ||
          !entry["content"].is_string())
        throw fail();
      const auto id = entry["id"].get<int64_t>();
      if (id < 0 || id > INT32_MAX)
        throw fail();
      const auto special = entry.find("special");
      out.added.push_back({id, entry["content"].get<std::string>(), special != entry.end() && *special == Json(true)});
      out.ids[out.added.back().content] = id;
      out.count = std::max(out.count, id + 1);
    }
  }
  if (out.count == 0)
    throw CompileError(file + ": its vocabulary is empty: download it again");
  if (auto found = json.find("post_processor"); found != json.end())
    out.postProcessor = std::move(*found);
  return out;
}

} // namespace heddle
