//===- Conversation.h - what was said in a chat --------------------------------------------------------------------------===//
#pragma once
#include "runtime/text/Tokenizer.h"
#include <filesystem>
#include <optional>

namespace heddle::tool {

/// A system message, if there is one, and whole turns: what the user said and what was answered.
class Conversation {
public:
  struct Turn {
    std::string user, assistant;
  };
  std::string system; // empty: none
  std::vector<Turn> turns;

  /// The messages of all turns from `first` on, then the user's next one where there is one.
  std::vector<ChatMessage> messages(size_t first = 0, const std::string *next = nullptr) const;

  /// {"model": …, "messages": [{"role": …, "content": …}, …]}: whole or not at all, as a plan is; what is no regular file is
  /// written to. Throws Failure.
  void save(const std::filesystem::path &file, const std::string &model) const;
  /// What save() wrote, or the list of messages alone. Throws Failure; nothing has changed then.
  void load(const std::filesystem::path &file);
};

} // namespace heddle::tool
