//===- Chat.h - turns, answers and commands ------------------------------------------------------------------------------===//
#pragma once
#include "tools/heddle/chat/Answerer.h"
#include "tools/heddle/chat/Conversation.h"
#include "tools/heddle/chat/TextInput.h"

namespace heddle::tool {

/// A chat: reads turns and commands until the input ends, answers on stdout, says the rest on stderr. No turn ends it: what
/// cannot be answered is said, and the conversation is as it was before. One thread.
class Chat {
public:
  Chat(Answerer &answerer, LineSource &lines, std::string system, std::optional<uint64_t> seed);
  void run();

private:
  bool command(const std::string &line); // false: the chat is over
  /// Answers and keeps the turn; false: there is no answer, and the conversation is as it was.
  bool answer(const std::string &text, uint64_t retry);
  size_t firstThatFits(const std::string &text, bool surely);
  void retry();

  Answerer &answerer_;
  LineSource &lines_;
  Conversation conversation_;
  std::optional<uint64_t> seed_; // given by the user
  uint64_t retries_ = 0;         // of the last turn
  std::string last_;             // what the user said last
  bool terminal_;                // somebody watches
};

} // namespace heddle::tool
