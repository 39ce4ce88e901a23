//===- Splitting.h - how byte-level BPE models cut text into words ---------------------------------------------------===//
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

/// One cut: what matches stands alone. Besides regular expressions there are two that count digits (third_party/text's
/// DigitGroups): groups of three from the right end of a row.
struct Cut {
  enum Kind { Regex, AllDigits, AsciiDigits } kind = Regex;
  std::string_view pattern;
  Cut(Kind digits) : kind(digits) {}
  Cut(std::string_view regex) : pattern(regex) {}
  Cut(const char *regex) : pattern(regex) {}
};

/// One way to cut text into words, as `tokenizer.ggml.pre` names it.
struct Splitting {
  std::vector<Cut> cuts;    // in order, each of the pieces that the last one left
  bool wholeWords = false;  // a word that is a token is not built from merges
  bool addsBos = false;     // prompts begin with BOS unless the file says otherwise
  bool rawText = false;     // tokens are written as text, with byte tokens <0xE2>, not in GPT-2's alphabet
  bool marksSpaces = false; // and spaces as U+2581
  bool lineBreaks = false;  // a row of line breaks that is a token is not built from merges
};

/// The splitting named `pre`, or null. An empty name is an old file: "default".
const Splitting *findSplitting(std::string_view pre);

/// All names, for messages.
std::string splittingNames();

} // namespace heddle
