//===- Texts.cpp - the texts that a task is asked for --------------------------------------------------------------------===//
#include "tools/heddle/tasks/Texts.h"
#include "runtime/text/Utf8.h"
#include "tools/heddle/Command.h"
#include <CLI/CLI.hpp>
#include <iostream>
#include <unistd.h>

namespace heddle::tool {

void addTextOptions(CLI::App &command, TextOptions &options) {
  command.add_option("TEXT", options.texts, "Texts; without any, the lines of --file or of standard input")->type_name("");
  command.add_option("-f,--file", options.file, "A file of texts, UTF-8, one in each line")
      ->check(existingFile())
      ->type_name("FILE");
  command.add_flag("--truncate", options.truncate,
                   "Cut a text that is longer than the model's positions, in place of refusing it");
}

static void checkText(const GivenText &given) {
  if (const size_t at = firstInvalidUtf8(given.text); at != std::string::npos)
    throw Failure(given.name + " is not valid UTF-8 at byte " + std::to_string(at) + "; send UTF-8");
  constexpr const char *kBlank = " \t\r\n\v\f\xc2\xa0"; // the last two are a space that does not break
  if (given.text.find_first_not_of(kBlank) == std::string::npos)
    throw Failure(given.name + " is empty: give it some words");
}

static std::vector<GivenText> linesOf(const std::string &whole, const std::string &place) {
  std::vector<GivenText> lines;
  constexpr std::string_view kMark = "\xef\xbb\xbf"; // of byte order, which some editors put before a text
  for (size_t begin = whole.starts_with(kMark) ? kMark.size() : 0; begin < whole.size();) {
    const size_t end = std::min(whole.find('\n', begin), whole.size());
    std::string line = whole.substr(begin, end - begin);
    if (line.ends_with('\r'))
      line.pop_back();
    lines.push_back({std::move(line), place + ", line " + std::to_string(lines.size() + 1)});
    begin = end + 1;
  }
  if (lines.empty())
    throw Failure(place + " holds no text: write one in each line");
  return lines;
}

std::vector<GivenText> readTexts(const TextOptions &options) {
  if (!options.texts.empty() && !options.file.empty())
    throw UsageError("texts come from the command line or from --file, not from both");
  std::vector<GivenText> texts;
  for (const std::string &text : options.texts)
    texts.push_back({text, "text " + std::to_string(texts.size() + 1)});
  if (!options.file.empty()) {
    texts = linesOf(readTextFile(options.file), options.file);
  } else if (texts.empty()) {
    if (isatty(STDIN_FILENO))
      throw UsageError("there is no text: write it after the model, or give --file, or pipe lines in");
    const std::string whole(std::istreambuf_iterator<char>(std::cin), {});
    texts = linesOf(whole, "standard input");
  }
  for (const GivenText &text : texts)
    checkText(text);
  return texts;
}

} // namespace heddle::tool
