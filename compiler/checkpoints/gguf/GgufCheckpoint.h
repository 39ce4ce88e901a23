//===- GgufCheckpoint.h - a GGUF file, or all parts of a split one, as a checkpoint ---------------------------------===//
#pragma once
#include "compiler/checkpoints/Checkpoint.h"
#include "compiler/checkpoints/gguf/GgufFile.h"

namespace heddle {

class GgufCheckpoint final : public Checkpoint {
public:
  /// `path`: the file, or the first part of a split model, whose other parts lie beside it.
  explicit GgufCheckpoint(const std::filesystem::path &path);

  Kind kind() const override { return Kind::Gguf; }
  std::string name() const override { return file().fileName(); }
  std::string architecture() const override { return architecture_; }
  std::string again() const override { return "convert the model again"; }
  std::optional<Setting> setting(std::string_view key) const override { return file().setting(key); }
  std::string shownKey(std::string_view key) const override { return name() + ": metadata " + std::string(key); }
  std::optional<StoredTensor> tensor(std::string_view name) const override;
  bool has(std::string_view tensor) const override;
  std::string shownTensor(std::string_view name) const override;
  int64_t tokenCount() const override { return tokens_; }
  TokenizerFiles tokenizer(bool continues) const override;
  std::string chatTemplate() const override;
  GenerationSettings generationSettings() const override; // general.sampling.…
  std::vector<std::string> unreadSettings() const override;
  std::vector<std::string> unreadTensors() const override;
  std::span<const Rule> settingRules() const override;
  std::span<const Rule> tensorRules() const override;
  bool ofTokenizer(std::string_view key) const override { return key.starts_with("tokenizer."); }

private:
  const GgufFile &file() const { return parts_.front(); } // the metadata is in the first part
  void openOtherParts(const std::filesystem::path &path);
  const GgufTensor *find(std::string_view name, const GgufFile **part) const;

  std::vector<GgufFile> parts_;
  std::string architecture_;
  int64_t tokens_ = 0;
};

} // namespace heddle
