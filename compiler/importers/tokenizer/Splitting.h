//===- Splitting.h - how byte-level BPE models cut text into words ---------------------------------------------------===//
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

/// One way to cut text into words, as `tokenizer.ggml.pre` names it.
struct Splitting {
  std::vector<std::string_view> patterns; // applied in order, each to the pieces the last one left; matches stand alone
  bool wholeWords = false;                // a word that is a token is not built from merges
  bool addsBos = false;                   // prompts begin with BOS unless the file says otherwise
};

/// The splitting named `pre`, or null. An empty name is an old file: "default".
const Splitting *findSplitting(std::string_view pre);

/// All names, for messages.
std::string splittingNames();

} // namespace heddle
