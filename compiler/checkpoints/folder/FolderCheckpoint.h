//===- FolderCheckpoint.h - a Hugging Face folder as a checkpoint ---------------------------------------------------===//
//
// config.json, generation_config.json, model.safetensors or its shards, tokenizer.json and what stands beside it. Settings are
// the leaves of config.json by keys with dots ("text_config.rope_scaling.factor"), and those of SentenceTransformers.h.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "compiler/checkpoints/Checkpoint.h"
#include "compiler/checkpoints/folder/FolderTokenizer.h"
#include "compiler/checkpoints/folder/SentenceTransformers.h"
#include "compiler/checkpoints/folder/ShardedTensors.h"
#include <mutex>
#include <set>
#include <unordered_map>

namespace heddle {

class FolderCheckpoint final : public Checkpoint {
public:
  explicit FolderCheckpoint(const std::filesystem::path &folder);

  Kind kind() const override { return Kind::Folder; }
  std::string name() const override { return folder_.string(); }
  std::string architecture() const override { return modelType_; }
  std::string again() const override { return "download the model again"; }
  std::optional<Setting> setting(std::string_view key) const override;
  std::string shownKey(std::string_view key) const override {
    return vectors_.shownKey(key).value_or((folder_ / "config.json").string() + ": " + std::string(key));
  }
  std::optional<StoredTensor> tensor(std::string_view name) const override;
  std::optional<StoredBytes> bytes(std::string_view name) const override;
  bool has(std::string_view tensor) const override { return tensors_.find(tensor).tensor; }
  std::string shownTensor(std::string_view name) const override;
  int64_t tokenCount() const override { return tokenizer_.count(); }
  TokenizerFiles tokenizer(bool continues) const override { return tokenizer_.files(continues); }
  std::string chatTemplate() const override { return tokenizer_.chatTemplate(); }
  GenerationSettings generationSettings() const override;
  std::vector<std::string> unreadSettings() const override;
  std::vector<std::string> unreadTensors() const override;
  std::span<const Rule> settingRules() const override;
  std::span<const Rule> tensorRules() const override;
  bool ofTokenizer(std::string_view) const override { return false; } // those are in files of their own

private:
  std::filesystem::path folder_;
  Json config_, generation_;
  std::string modelType_;
  std::vector<std::pair<std::string, Setting>> settings_;
  SentenceTransformers vectors_;
  std::unordered_map<std::string, const Setting *> settingOf_;
  ShardedTensors tensors_;
  FolderTokenizer tokenizer_;
  mutable std::mutex mutex_;
  mutable std::set<std::string, std::less<>> readSettings_, readTensors_;
};

} // namespace heddle
