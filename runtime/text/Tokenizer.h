//===- Tokenizer.h - text to token ids and back ----------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

/// A Hugging Face tokenizer (third_party/text). Immutable, any number of threads may use it. Throws TextError (one line).
class Tokenizer {
public:
  static std::shared_ptr<const Tokenizer> fromJson(std::string_view json);
  /// Special tokens written in the text become their ids when `parseSpecial`. Invalid UTF-8 throws. Adds no BOS.
  std::vector<int32_t> encode(std::string_view text, bool parseSpecial) const;
  std::string decode(std::span<const int32_t> ids, bool skipSpecial) const;
  int64_t vocabularySize() const;
  ~Tokenizer();
private:
  Tokenizer() = default;
  void *handle_ = nullptr;
};

/// Text of a growing list of tokens, given out in whole UTF-8 characters only. One per sequence.
class StreamDecoder {
public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer);
  std::string push(int32_t id);   // text that became complete
  std::string flush();            // what is left, broken characters as U+FFFD
private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<int32_t> ids_;
  size_t prefix_ = 0, read_ = 0;
};

struct ChatMessage { std::string role, content; };

/// A model's own chat template (Jinja). Throws TextError with the template's message.
class ChatTemplate {
public:
  ChatTemplate(std::string source, std::string bosToken, std::string eosToken);
  std::string render(std::span<const ChatMessage> messages, bool addGenerationPrompt) const;
private:
  std::string source_, bos_, eos_;
};

} // namespace heddle
