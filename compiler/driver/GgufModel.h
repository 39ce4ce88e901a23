//===- GgufModel.h - a GGUF file as architectures and the plan writer see it -----------------------------------------===//
#pragma once
#include "compiler/graph/ModelSource.h"
#include "compiler/importers/gguf/GgufFile.h"
#include "runtime/plan/Plan.h"

namespace heddle {

class GgufModel final : public ModelSource {
public:
  explicit GgufModel(const std::filesystem::path &path);
  std::string name() const override { return file_.fileName(); }
  std::string architecture() const override { return architecture_; }
  std::optional<int64_t> integer(std::string_view key) const override;
  std::optional<double> number(std::string_view key) const override;
  std::optional<std::string> text(std::string_view key) const override;
  std::optional<std::vector<bool>> flags(std::string_view key) const override;
  std::optional<TensorInfo> tensor(std::string_view name) const override;
  std::vector<float> vectorValues(std::string_view tensor) const override;
  int64_t vocabularySize() const override { return vocabulary_; }

  const GgufFile &file() const { return file_; }
  /// tokenizer.json for the plan, and what the manifest says of special tokens. Call once, in this order.
  std::string tokenizerJson(Manifest &manifest) const;
  /// The model's own chat template; empty when it has none.
  std::string chatTemplate() const;
  GenerationSettings generationSettings() const; // general.sampling.…

private:
  bool isList(const std::string &key) const;
  std::string prefixed(std::string_view key) const { return architecture_ + "." + std::string(key); }
  GgufFile file_;
  std::string architecture_;
  int64_t vocabulary_;
};

} // namespace heddle
