//===- ServedModel.h - what the frontend knows of a model: its manifest and its text --------------------------------===//
#pragma once
#include "runtime/engine/Engine.h"
#include "runtime/plan/Plan.h"
#include "runtime/text/Tokenizer.h"
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>

namespace heddle {

/// A text was not made into tokens, since its size alone shows that it has more than it may. "has N bytes, at least T tokens".
struct TextTooLong : std::runtime_error {
  TextTooLong(size_t bytes, int64_t tokens);
};

/// Immutable once made; any number of threads may use it. The one place that turns prompts into tokens, for `run` and `serve`
/// alike.
class ServedModel {
public:
  /// `name`: what the user calls the model, which then is the manifest's name too; empty: the plan's own, by which the model was
  /// called when it was compiled. Broken UTF-8 in it is repaired. Throws PlanError, TextError.
  static ServedModel open(const std::filesystem::path &plan, const std::string &name = {});
  /// `chatTemplate` empty: the model has none.
  ServedModel(Manifest manifest, std::shared_ptr<const Tokenizer> tokenizer, std::string chatTemplate);

  const Manifest &manifest() const { return manifest_; }
  const std::shared_ptr<const Tokenizer> &tokenizer() const { return tokenizer_; }
  /// Whether encodeChat works; if not, `whyNoChat` says why, one line.
  bool hasChatTemplate() const { return chat_.has_value(); }
  const std::string &whyNoChat() const { return whyNoChat_; }
  /// Tokens that prompt and output may have together when `asked` is what the user set (0: nothing).
  int64_t context(int64_t asked) const { return asked ? asked : std::min<int64_t>(manifest_.context, 8192); }

  /// How tokens are chosen where text goes through the chat template and the user does not say otherwise: the model's own
  /// settings, else what suits most chats.
  SamplingParams chatSampling() const;

  /// One user turn through the chat template, if there is one; without, or with `raw`, the text as it is, special tokens written
  /// in it being such (`raw` adds no BOS either). Throws TextError, also for a template that does not parse, and TextTooLong for
  /// a text that certainly has more than `most` tokens, before it makes any: millions of characters would take seconds and
  /// gigabytes. One that passes may still have more.
  std::vector<int32_t> encodePrompt(const std::string &text, bool raw, int64_t most = INT64_MAX) const;
  /// Throws TextTooLong as encodePrompt does, where the text's size shows it before the template: cheap.
  void checkPrompt(const std::string &text, bool raw, int64_t most) const;
  /// Special tokens written in messages are text unless `parseSpecial`. Throws as encodePrompt, and std::invalid_argument when
  /// the model has no template.
  std::vector<int32_t> encodeChat(std::span<const ChatMessage> messages, bool parseSpecial = false,
                                  int64_t most = INT64_MAX) const;

private:
  void checkSize(std::string_view text, int64_t most) const;
  std::vector<int32_t> withBegin(std::vector<int32_t> ids) const;

  Manifest manifest_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_;
  bool brokenTemplate_ = false; // there is one, which does not parse: that costs chats alone
  std::string whyNoChat_;
};

} // namespace heddle
