//===- Chat.cpp - turns, answers and commands ----------------------------------------------------------------------------===//
#include "tools/heddle/chat/Chat.h"
#include "runtime/text/TextError.h"
#include "runtime/text/Utf8.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Options.h"
#include <iostream>
#include <unistd.h>

namespace heddle::tool {
namespace {

constexpr const char *kHelp =
    R"(/help           this text
/clear          forget the conversation; the system message stays
/retry          answer the last turn again, with another seed
/system TEXT    another system message, from the next turn on; without TEXT: none
/save FILE      write the conversation as JSON messages
/load FILE      go on with a conversation that was saved
/bye            leave, as /exit and Ctrl-D do; Ctrl-C ends an answer
"""             begins and ends a turn of several lines; a \ at the end of a line goes on with the next
//TEXT          a turn that begins with /TEXT
)";

/// The word after which the rest of a command begins.
std::pair<std::string, std::string> split(const std::string &line) {
  size_t end = line.find_first_of(" \t"), rest = line.find_first_not_of(" \t", end);
  std::string text = rest == std::string::npos ? "" : line.substr(rest);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.pop_back();
  return {line.substr(0, end), text};
}

} // namespace

TooLong::TooLong(int64_t tokens, int64_t context)
    : std::runtime_error("the prompt has " + std::to_string(tokens) + " tokens, but the context of " + std::to_string(context) +
                         " must hold it and at least one token of the answer") {}

Chat::Chat(Answerer &answerer, LineSource &lines, std::string system, std::optional<uint64_t> seed)
    : answerer_(answerer), lines_(lines), seed_(seed), terminal_(isatty(STDIN_FILENO)) {
  conversation_.system = std::move(system);
}

void Chat::run() {
  if (terminal_)
    std::cerr << "Chat with " << printable(answerer_.model())
              << ". /help for commands; Ctrl-C ends an answer, Ctrl-D the chat.\n";
  for (TurnReader reader(lines_);;) {
    Turn turn = reader.next();
    if (turn.kind == Line::Kind::End)
      break;
    if (turn.kind == Line::Kind::Interrupted) {
      std::cerr << (lines_.edits() ? "" : "\n") << "Ctrl-D or /bye ends the chat\n";
      continue;
    }
    if (turn.kind == Line::Kind::NotUtf8) {
      std::cerr << "the line just read is not UTF-8, so it was not sent; set the terminal to UTF-8, or convert the input\n";
      continue;
    }
    if (turn.text.find_first_not_of(" \t\r\n") == std::string::npos)
      continue;
    lines_.remember(turn.text);
    if (turn.literal || turn.text[0] != '/') {
      answer(turn.text, retries_ = 0);
    } else if (turn.text.starts_with("//")) {
      answer(turn.text.substr(1), retries_ = 0);
    } else if (!command(turn.text)) {
      return;
    }
  }
  if (terminal_ && !lines_.edits())
    std::cerr << "\n";
}

bool Chat::command(const std::string &line) {
  auto [word, rest] = split(line);
  auto needsFile = [&] {
    if (rest.empty())
      std::cerr << word << " needs the name of a file\n";
    return !rest.empty();
  };
  try {
    if (word == "/bye" || word == "/exit" || word == "/quit") {
      return false;
    } else if (word == "/help" || word == "/?") {
      std::cerr << kHelp;
    } else if (word == "/clear") {
      conversation_.turns.clear();
      last_.clear();
      std::cerr << "the conversation is forgotten\n";
    } else if (word == "/retry") {
      retry();
    } else if (word == "/system") {
      conversation_.system = rest;
      std::cerr << (rest.empty() ? "there is no system message now\n" : "the system message is set\n");
    } else if (word == "/save" && needsFile()) {
      conversation_.save(rest, answerer_.model());
      std::cerr << "saved " << conversation_.turns.size() << (conversation_.turns.size() == 1 ? " turn" : " turns") << " to "
                << rest << "\n";
    } else if (word == "/load" && needsFile()) {
      conversation_.load(rest);
      last_ = conversation_.turns.empty() ? "" : conversation_.turns.back().user;
      std::cerr << "loaded " << conversation_.turns.size() << (conversation_.turns.size() == 1 ? " turn" : " turns") << "\n";
    } else if (word != "/save" && word != "/load") {
      std::cerr << "there is no command " << word << "; /help lists them, and //TEXT sends a text that begins with /\n";
    }
  } catch (const Failure &error) {
    std::cerr << error.what() << "\n";
  }
  return true;
}

void Chat::retry() {
  if (last_.empty()) {
    std::cerr << "there is no turn to answer again\n";
    return;
  }
  const std::vector<Conversation::Turn> before = conversation_.turns;
  if (!before.empty() && before.back().user == last_)
    conversation_.turns.pop_back();
  if (!answer(std::string(last_), ++retries_))
    conversation_.turns = before;
}

/// The oldest turn that can stay so that there is room for the next one and some of its answer; `surely`: whatever the size of
/// the text, ask. Throws TooLong when the next one does not fit alone.
size_t Chat::firstThatFits(const std::string &text, bool surely) {
  const int64_t context = answerer_.context();
  const int64_t room = std::max<int64_t>(1, std::min(answerer_.maxTokens(), context / 4));
  auto messages = [&](size_t first) { return conversation_.messages(first, &text); };
  // Hardly a token is shorter than a byte, but templates write some around each message: most chats are far from full.
  int64_t bytes = 0;
  for (const ChatMessage &message : messages(0))
    bytes += static_cast<int64_t>(message.content.size()) + 64;
  if (!surely && bytes < context - room)
    return 0;
  const size_t turns = conversation_.turns.size();
  auto tokens = [&](size_t first) { return answerer_.promptTokens({messages(first), {}}); };
  if (tokens(0) + room <= context)
    return 0;
  // Fewer turns never need more room: halve the way.
  size_t low = 0, high = turns; // `low` has too many
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    (tokens(middle) + room <= context ? high : low) = middle;
  }
  if (int64_t alone = tokens(high); high == turns && alone >= context)
    throw TooLong(alone, context);
  return high;
}

bool Chat::answer(const std::string &text, uint64_t retry) {
  last_ = text;
  std::optional<uint64_t> seed = seed_;
  if (seed)
    *seed += retry;
  bool midLine = false;
  auto sink = [&](const std::string &part) {
    if (!part.empty())
      midLine = part.back() != '\n';
    std::cout << part << std::flush;
  };
  std::string problem;
  try {
    Question question;
    size_t first = firstThatFits(text, false);
    Answer answer;
    for (bool again = false;; again = true) {
      question.messages = conversation_.messages(first, &text);
      try {
        answer = answerer_.answer(question, seed, sink);
        break;
      } catch (const TooLong &) {
        if (again)
          throw;
        first = firstThatFits(text, true);
      }
    }
    conversation_.turns.erase(conversation_.turns.begin(), conversation_.turns.begin() + static_cast<ptrdiff_t>(first));
    sink("\n");
    if (first > 0)
      std::cerr << "the context of " << answerer_.context() << " tokens is full: the oldest "
                << (first == 1 ? "turn was" : std::to_string(first) + " turns were") << " dropped before this answer\n";
    if (answer.stopReason == "context_full")
      std::cerr << "the answer ends where the context of " << answerer_.context() << " tokens is full\n";
    if (terminal_)
      std::cerr << describe(answer, answerer_.draws(question)) << "\n";
    if (answer.text.empty() && answer.cancelled())
      return false;
    conversation_.turns.push_back({text, answer.text});
    return true;
  } catch (const TooLong &error) {
    problem = std::string(error.what()) + "; this turn was not sent: shorten it, or start with a larger --context";
  } catch (const Failure &error) {
    problem = error.what();
  } catch (const TextError &error) {
    problem = error.what();
  } catch (const std::invalid_argument &error) {
    problem = error.what();
  }
  if (midLine)
    sink("\n");
  std::cerr << problem << "\n";
  return false;
}

} // namespace heddle::tool
