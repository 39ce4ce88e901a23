//===- TextInput.h - texts that people and files give --------------------------------------------------------------------===//
#pragma once
#include <memory>
#include <string>

namespace heddle::tool {

/// A prompt out of a file, a FIFO or, for "-", standard input: UTF-8, line ends as \n, without the last one. Throws Failure for
/// what is none, for a folder, and for one that is empty.
std::string readPromptFile(const std::string &file);

/// Line ends of other systems become \n.
std::string withPlainLineEnds(std::string text);

struct Line {
  enum class Kind { Text, Interrupted, End, NotUtf8 } kind;
  std::string text;    // without the line end; several lines where they were pasted or edited so
  bool pasted = false; // whole, out of a bracketed paste
};

/// Where the lines of a chat come from. One thread.
class LineSource {
public:
  virtual ~LineSource() = default;
  virtual Line read(const std::string &prompt) = 0;
  /// Keeps a turn for the history, where there is one.
  virtual void remember(const std::string &turn) = 0;
  virtual bool edits() const = 0; // people can move the cursor and see their history

  /// Standard input: with an editor on a terminal that can move its cursor, else line by line.
  static std::unique_ptr<LineSource> open();
};

/// One turn or command of a chat.
struct Turn {
  Line::Kind kind;
  std::string text;
  bool literal = false; // quoted or pasted: never a command
};

/// Puts turns together: lines between """ and """, or that end in a backslash, are one.
class TurnReader {
public:
  explicit TurnReader(LineSource &source) : source_(source) {}
  Turn next();

private:
  Turn quoted(std::string text);
  LineSource &source_;
};

} // namespace heddle::tool
