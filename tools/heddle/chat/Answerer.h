//===- Answerer.h - who answers a conversation ---------------------------------------------------------------------------===//
#pragma once
#include "runtime/text/Tokenizer.h"
#include "tools/heddle/chat/Answer.h"
#include <functional>
#include <optional>
#include <stdexcept>

namespace heddle::tool {

/// What is to be answered: a conversation through the chat template, or with none a text.
struct Question {
  std::vector<ChatMessage> messages; // oldest first
  std::string prompt;                // where there are no messages
  bool raw = false;                  // the prompt as it is: no template, nothing added
};

/// The question alone fills the context.
struct TooLong : std::runtime_error {
  TooLong(int64_t tokens, int64_t context);
};

/// The engine of `heddle run`, or a server. One thread. Whatever is wrong with one question is a Failure, a TextError or a
/// std::invalid_argument, and the next question can be asked; other exceptions end the chat.
class Answerer {
public:
  virtual ~Answerer() = default;
  virtual std::string model() const = 0;
  virtual bool hasChatTemplate() const = 0;
  virtual int64_t context() const = 0;   // tokens of a question and its answer together
  virtual int64_t maxTokens() const = 0; // of an answer
  virtual int64_t promptTokens(const Question &question) = 0;

  using TextSink = std::function<void(const std::string &text)>;
  /// Answers; `text` gets the text while it is made. Ctrl-C ends the answer early, as "cancelled". `seed` goes before what the
  /// command line says; without either it is drawn. Throws TooLong, and what `text` throws.
  virtual Answer answer(const Question &question, std::optional<uint64_t> seed, const TextSink &text) = 0;
  /// Whether the seed has a part in the answers to such questions.
  virtual bool draws(const Question &question) const = 0;
};

} // namespace heddle::tool
