//===- ServedModel.h - what the frontend knows of a model: its manifest and its text --------------------------------===//
#pragma once
#include "runtime/plan/Plan.h"
#include "runtime/text/Tokenizer.h"
#include <optional>
#include <span>

namespace heddle {

/// Immutable once made; any number of threads may use it. The one place that turns prompts into tokens, for `run` and `serve`
/// alike.
class ServedModel {
public:
  static ServedModel open(const std::filesystem::path &plan); // throws PlanError, TextError
  /// `chatTemplate` empty: the model has none.
  ServedModel(Manifest manifest, std::shared_ptr<const Tokenizer> tokenizer, std::string chatTemplate);

  const Manifest &manifest() const { return manifest_; }
  const std::shared_ptr<const Tokenizer> &tokenizer() const { return tokenizer_; }
  bool hasChatTemplate() const { return chat_.has_value(); }
  /// Tokens that prompt and output may have together when `asked` is what the user set (0: nothing).
  int64_t context(int64_t asked) const { return asked ? asked : std::min<int64_t>(manifest_.context, 8192); }

  /// One user turn through the chat template, if there is one; without, or with `raw`, the text as it is (`raw` adds no BOS
  /// either).
  std::vector<int32_t> encodePrompt(const std::string &text, bool raw) const;
  /// Throws std::invalid_argument when the model has no template, TextError when the template refuses.
  std::vector<int32_t> encodeChat(std::span<const ChatMessage> messages) const;

private:
  std::vector<int32_t> withBegin(std::vector<int32_t> ids) const;

  Manifest manifest_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_;
};

} // namespace heddle
