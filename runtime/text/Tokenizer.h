//===- Tokenizer.h - text to token ids and back ----------------------------------------------------------------------===//
#pragma once
#include "runtime/text/TextError.h"
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

/// A text, or a pair of them, as encoders take it. Lists have an element for each token.
struct EncodedText {
  std::vector<int32_t> ids, types;
  std::vector<int32_t> part;       // which of the two texts it comes from; -1: neither
  std::vector<int32_t> begin, end; // where it stands in that text, in bytes
};

/// A Hugging Face tokenizer (third_party/text). Immutable, any number of threads may use it. Throws TextError (one line).
class Tokenizer {
public:
  /// From the bytes of a tokenizer.json.
  static std::shared_ptr<const Tokenizer> fromJson(std::string_view json);
  /// From a tokenizer.json. A large vocabulary (262,144 tokens) takes a fraction of a second and about 100 MB: open it once.
  /// `next` ends errors: what to do.
  static std::shared_ptr<const Tokenizer> open(const std::filesystem::path &file,
                                               std::string_view next = "compile the model again");

  /// Special tokens written in the text become their ids when `parseSpecial`; otherwise they are text like any other.
  /// Invalid UTF-8 throws, naming the byte. Adds no BOS.
  std::vector<int32_t> encode(std::string_view text, bool parseSpecial) const;

  /// With the tokens that the model wants around a text and between two. Special tokens written in them are text. Invalid UTF-8
  /// throws, naming the byte.
  EncodedText encodeWhole(std::string_view text, std::optional<std::string_view> second = std::nullopt) const;

  /// Always valid UTF-8: what is broken becomes U+FFFD. Ids outside the vocabulary have no text. The space that some
  /// SentencePiece models put before the first word of a text is taken away again, so this is for whole texts. `skipSpecial`
  /// leaves out what is hidden.
  std::string decode(std::span<const int32_t> ids, bool skipSpecial) const;

  /// The text of one token by itself, special or not, with the space that it may begin with; UTF-8 like decode's. Texts of tokens
  /// joined are the text that they make, but for characters that several share.
  std::string tokenText(int32_t id) const;

  /// Whether a token is never printed: control tokens.
  bool isHidden(int32_t id) const;

  /// The bytes that `id` adds after `previous` (-1: nothing), perhaps a part of a character; none for hidden tokens.
  std::string decodeNext(int32_t previous, int32_t id) const;

  /// One more than the highest id. A model may have more rows than that.
  int64_t vocabularySize() const;

  /// How many tokens `text` has at least, seen by its size alone and so in no time: no token stands for more bytes than the
  /// longest. 0 where the size says nothing (where any number of characters may vanish or become one token). Invalid UTF-8
  /// throws.
  int64_t leastTokens(std::string_view text) const;

  ~Tokenizer();
  Tokenizer(const Tokenizer &) = delete;
  Tokenizer &operator=(const Tokenizer &) = delete;

private:
  Tokenizer() = default;
  friend class ChatTemplate;
  void *handle_ = nullptr;
};

/// Text of a growing list of tokens, given out in whole UTF-8 characters only. One per sequence. What it gives continues a
/// prompt, so a leading space stays. The cost of a token does not depend on how many came before.
class StreamDecoder {
public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer);
  std::string push(int32_t id); ///< text that became complete
  std::string flush();          ///< what is left, broken characters as U+FFFD
private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string pending_;   // the beginning of a character, at most 3 bytes between calls
  int32_t previous_ = -1; // the last token that had text
};

struct ChatMessage {
  std::string role, content;
};

/// A model's own chat template (Jinja). Throws TextError with the template's message. Any number of threads may use it.
class ChatTemplate {
public:
  /// Throws at syntax errors.
  ChatTemplate(std::string_view source, std::string_view bosToken, std::string_view eosToken);
  /// The prompt for a conversation; `addGenerationPrompt` opens the assistant's turn.
  std::string render(std::span<const ChatMessage> messages, bool addGenerationPrompt) const;
  /// Its tokens, without a BOS that the template does not write. Special tokens count where the template wrote them; written in a
  /// message they are text, unless `parseSpecial` (third_party/text/src/chat.rs has how the two are told apart). Throws also
  /// where they cannot be. The tokenizer is the same in every call.
  std::vector<int32_t> encode(const Tokenizer &tokenizer, std::span<const ChatMessage> messages, bool addGenerationPrompt,
                              bool parseSpecial) const;

private:
  std::shared_ptr<void> handle_;
};

} // namespace heddle
