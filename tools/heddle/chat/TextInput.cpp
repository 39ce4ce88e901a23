//===- TextInput.cpp - texts that people and files give ------------------------------------------------------------------===//
#include "tools/heddle/chat/TextInput.h"
#include "tools/heddle/Command.h"
#include "tools/heddle/Options.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <unistd.h>

namespace heddle::tool {
namespace {

constexpr size_t kLongestPrompt = size_t{64} << 20; // bytes: far beyond any context, and /dev/zero ends
constexpr std::string_view kQuotes = R"(""")";

/// How many backslashes stand at the end.
size_t backslashes(const std::string &text) {
  size_t count = 0;
  while (count < text.size() && text[text.size() - 1 - count] == '\\')
    ++count;
  return count;
}

} // namespace

std::string withPlainLineEnds(std::string text) {
  size_t to = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    bool before = i + 1 < text.size() && text[i + 1] == '\n';
    if (text[i] == '\r' && before)
      continue;
    text[to++] = text[i];
  }
  text.resize(to);
  return text;
}

std::string readPromptFile(const std::string &file) {
  const std::string name = file == "-" ? "standard input" : file;
  std::error_code error;
  if (file != "-" && std::filesystem::is_directory(file, error))
    throw Failure(file + " is a folder; -f needs a text file");
  int fd = file == "-" ? STDIN_FILENO : ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  auto fail = [&](const std::string &what) {
    if (fd > STDIN_FILENO)
      ::close(fd);
    throw Failure(name + what);
  };
  if (fd < 0)
    fail(std::string(" cannot be read: ") + std::strerror(errno));
  std::string text;
  char buffer[1 << 16];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) != 0;) {
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) { // whoever has the other end of a pipe made it so
      pollfd entry{fd, POLLIN, 0};
      ::poll(&entry, 1, -1);
      continue;
    }
    if (got < 0)
      fail(std::string(" cannot be read: ") + std::strerror(errno));
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > kLongestPrompt)
      fail(" has more than 64 MiB; that is no prompt");
  }
  if (size_t bad = firstInvalidUtf8(text); bad != std::string::npos)
    fail(" is not UTF-8 at byte " + std::to_string(bad) + "; convert it (iconv -t UTF-8)");
  text = withPlainLineEnds(std::move(text));
  if (!text.empty() && text.back() == '\n') // editors end a file so; the prompt does not
    text.pop_back();
  if (text.empty())
    fail(" is empty; there is nothing to answer");
  if (fd > STDIN_FILENO)
    ::close(fd);
  return text;
}

Turn TurnReader::next() {
  Line line = source_.read("> ");
  if (line.kind != Line::Kind::Text)
    return {line.kind, {}};
  if (line.pasted || line.text.find('\n') != std::string::npos)
    return {Line::Kind::Text, std::move(line.text), true};
  if (line.text.starts_with(kQuotes))
    return quoted(line.text.substr(kQuotes.size()));
  std::string text = std::move(line.text);
  bool several = false;
  while (backslashes(text) % 2 == 1) {
    text.back() = '\n';
    several = true;
    line = source_.read("... ");
    if (line.kind == Line::Kind::End)
      break;
    if (line.kind != Line::Kind::Text)
      return {line.kind, {}};
    text += line.text;
  }
  return {Line::Kind::Text, std::move(text), several};
}

/// The rest of a turn that began with three quotes.
Turn TurnReader::quoted(std::string text) {
  for (;;) {
    if (size_t end = text.find(kQuotes); end != std::string::npos) {
      text.erase(end, kQuotes.size()); // what stands behind them belongs to it
      break;
    }
    Line line = source_.read("... ");
    if (line.kind == Line::Kind::End)
      break;
    if (line.kind != Line::Kind::Text)
      return {line.kind, {}};
    text += "\n" + line.text;
  }
  if (text.starts_with('\n')) // the quotes stood alone on their lines
    text.erase(0, 1);
  if (text.ends_with('\n'))
    text.pop_back();
  return {Line::Kind::Text, std::move(text), true};
}

} // namespace heddle::tool
