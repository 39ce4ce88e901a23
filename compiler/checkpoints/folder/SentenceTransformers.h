//===- SentenceTransformers.h - how a folder makes one vector of a text ---------------------------------------------===//
#pragma once
#include "compiler/checkpoints/folder/Json.h"
#include <optional>

namespace heddle {

/// What sentence-transformers' files of a folder say, as settings whose keys no config.json has by chance:
/// "sentence-transformers/modules", the kinds of modules.json in their order (Transformer, Pooling, Normalize),
/// "…/pooling/KEY" of the Pooling module's config.json, "…/transformer/KEY" of sentence_bert_config.json and "…/config/KEY" of
/// config_sentence_transformers.json. None where there is no modules.json.
class SentenceTransformers {
public:
  static constexpr std::string_view kPrefix = "sentence-transformers/";

  /// Throws CompileError.
  explicit SentenceTransformers(const std::filesystem::path &folder);
  const std::vector<std::pair<std::string, Setting>> &settings() const { return settings_; }
  /// One of its keys with the file that has it; nullopt for another key.
  std::optional<std::string> shownKey(std::string_view key) const;

private:
  void read(const std::filesystem::path &file, const std::string &part);

  std::filesystem::path list_;
  std::vector<std::pair<std::string, Setting>> settings_;
  std::vector<std::pair<std::string, std::filesystem::path>> files_; // of each part
};

} // namespace heddle
