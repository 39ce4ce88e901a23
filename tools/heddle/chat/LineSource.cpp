//===- LineSource.cpp - lines of a terminal, a pipe or a file ------------------------------------------------------------===//
#include "third_party/line/heddle_line.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Options.h"
#include "tools/heddle/Process.h"
#include "tools/heddle/chat/TextInput.h"
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <optional>
#include <poll.h>
#include <unistd.h>

namespace heddle::tool {
namespace {

namespace fs = std::filesystem;
constexpr size_t kHistoryEntries = 1000;
constexpr std::string_view kPasteBegin = "\033[200~", kPasteEnd = "\033[201~";

/// Takes the terminal's marks of pasted text out: some send them though nobody asked.
std::string withoutMarks(std::string text) {
  for (std::string_view mark : {kPasteBegin, kPasteEnd})
    for (size_t at; (at = text.find(mark)) != std::string::npos;)
      text.erase(at, mark.size());
  return text;
}

/// Line by line, as the system gives them: pipes, files, terminals that cannot move their cursor.
class PlainLines final : public LineSource {
public:
  Line read(const std::string &prompt) override {
    if (terminal_)
      std::cerr << prompt << std::flush;
    std::optional<Interruptible> interruptible; // Ctrl-C ends what reads a pipe
    if (terminal_)
      interruptible.emplace();
    std::string text;
    bool pasted = false;
    for (;;) {
      Line::Kind kind = readLine(text);
      if (kind == Line::Kind::Interrupted)
        buffer_.clear();
      if (kind != Line::Kind::Text)
        return {kind, {}};
      size_t begin = text.rfind(kPasteBegin);
      pasted |= begin != std::string::npos;
      if (begin == std::string::npos || text.find(kPasteEnd, begin) != std::string::npos || ended_)
        break;
      text += '\n'; // the paste goes on
    }
    if (pasted)
      text = withoutMarks(std::move(text));
    text = withPlainLineEnds(text + "\n");
    text.pop_back();
    if (firstInvalidUtf8(text) != std::string::npos)
      return {Line::Kind::NotUtf8, {}};
    return {Line::Kind::Text, std::move(text), pasted};
  }
  void remember(const std::string &) override {}
  bool edits() const override { return false; }

private:
  /// Appends a line without its end.
  Line::Kind readLine(std::string &text) {
    for (;;) {
      if (size_t end = buffer_.find('\n'); end != std::string::npos) {
        text.append(buffer_, 0, end);
        buffer_.erase(0, end + 1);
        return Line::Kind::Text;
      }
      if (ended_) {
        if (buffer_.empty())
          return Line::Kind::End;
        text += std::exchange(buffer_, {});
        return Line::Kind::Text;
      }
      pollfd entry{STDIN_FILENO, POLLIN, 0};
      int ready = ::poll(&entry, 1, -1); // unlike read(), a signal always ends it
      if (ready < 0 && errno == EINTR) {
        if (terminal_ && Interruptible::interrupted())
          return Line::Kind::Interrupted;
        continue;
      }
      char bytes[1 << 16];
      ssize_t got = ::read(STDIN_FILENO, bytes, sizeof bytes);
      if (got < 0 && (errno == EINTR || errno == EAGAIN))
        continue;
      if (got <= 0) {
        ended_ = !terminal_ || got < 0 || buffer_.empty();
        if (!ended_) { // Ctrl-D after some text gives it as it is
          text += std::exchange(buffer_, {});
          return Line::Kind::Text;
        }
        continue;
      }
      buffer_.append(bytes, static_cast<size_t>(got));
    }
  }

  const bool terminal_ = isatty(STDIN_FILENO);
  std::string buffer_;
  bool ended_ = false;
};

/// Where turns are kept from one chat to the next; empty: nowhere.
std::string historyFile() {
  fs::path folder;
  if (const char *state = std::getenv("XDG_STATE_HOME"); state && state[0] == '/')
    folder = fs::path(state) / "heddle";
  else if (const char *home = std::getenv("HOME"); home && home[0] == '/')
    folder = fs::path(home) / ".local/state/heddle";
  else
    return {};
  std::error_code error;
  bool made = fs::create_directories(folder, error);
  if (made)
    fs::permissions(folder, fs::perms::owner_all, error);
  return error ? std::string() : (folder / "chat_history").string();
}

volatile std::sig_atomic_t endSignal = 0;

/// While a line is edited the terminal is in another mode, which must not stay when a signal ends the program: the signal
/// ends the reading first, as Ctrl-C does by way of `editor`, what the editor does at SIGINT, and then comes again.
class EndsInOrder {
public:
  explicit EndsInOrder(const struct sigaction &editor) {
    endSignal = 0;
    sigaction(SIGINT, &editor, &interrupt_);
    struct sigaction action{};
    action.sa_handler = [](int signal) {
      endSignal = signal;
      raise(SIGINT);
    };
    sigaction(SIGTERM, &action, &term_);
    sigaction(SIGHUP, nullptr, &hangup_);
    if (hangup_.sa_handler != SIG_IGN)
      sigaction(SIGHUP, &action, nullptr);
  }
  ~EndsInOrder() {
    sigaction(SIGTERM, &term_, nullptr);
    sigaction(SIGHUP, &hangup_, nullptr);
    sigaction(SIGINT, &interrupt_, nullptr);
    if (endSignal)
      raise(endSignal);
  }

private:
  struct sigaction interrupt_, term_, hangup_;
};

class EditedLines final : public LineSource {
public:
  EditedLines() {
    const std::string history = historyFile();
    struct sigaction ours;
    sigaction(SIGINT, nullptr, &ours);
    line_ = heddle_line_create(history.data(), history.size(), kHistoryEntries);
    sigaction(SIGINT, &ours, &interrupt_); // the editor's only counts while it reads
  }
  ~EditedLines() override { heddle_line_free(line_); }
  EditedLines(const EditedLines &) = delete;
  bool works() const { return line_; }

  Line read(const std::string &prompt) override {
    char *data = nullptr;
    size_t size = 0;
    int kind;
    {
      EndsInOrder endsInOrder(interrupt_);
      kind = heddle_line_read(line_, prompt.data(), prompt.size(), &data, &size);
    }
    Line line{Line::Kind::End, std::string(data, size)};
    heddle_line_text_free(data, size);
    if (kind == HEDDLE_LINE_TEXT)
      line.kind = Line::Kind::Text;
    else if (kind == HEDDLE_LINE_INTERRUPTED)
      line.kind = Line::Kind::Interrupted;
    else if (kind == HEDDLE_LINE_NOT_UTF8)
      line.kind = Line::Kind::NotUtf8;
    return line;
  }

  void remember(const std::string &turn) override {
    if (heddle_line_remember(line_, turn.data(), turn.size()) || told_)
      return;
    told_ = true;
    std::cerr << "the history cannot be written to " << historyFile() << "; it ends with this chat\n";
  }
  bool edits() const override { return true; }

private:
  HeddleLine *line_;
  struct sigaction interrupt_;
  bool told_ = false;
};

} // namespace

std::unique_ptr<LineSource> LineSource::open() {
  const char *term = std::getenv("TERM");
  std::string_view name = term ? term : "";
  bool moves = !name.empty() && name != "dumb" && name != "emacs" && name != "cons25";
  if (moves && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
    if (auto edited = std::make_unique<EditedLines>(); edited->works())
      return edited;
  return std::make_unique<PlainLines>();
}

} // namespace heddle::tool
