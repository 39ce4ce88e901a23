//===- OutputText.h - a request's text, cut before its stop strings --------------------------------------------------===//
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heddle {

/// Text of a growing list of tokens, in whole UTF-8 characters (runtime/text's StreamDecoder; fakes in tests).
class TextDecoder {
public:
  virtual ~TextDecoder() = default;
  virtual std::string push(int32_t id) = 0; // text that became complete
  virtual std::string flush() = 0;          // what is left
  virtual std::string hidden(int32_t id) {  // the text of a token that push() never prints; empty for others
    return "";
  }
};
using TextDecoderFactory = std::function<std::unique_ptr<TextDecoder>()>; // one decoder per sequence

/// Gives a request's text out as early as can be: all but a tail that may still become a stop string. A stop string is found
/// wherever it lies across tokens, in the text that is given out and in that text with its hidden tokens written out
/// ("<|tool|>").
///
/// Which one counts does not depend on how text was cut into tokens: it is as if the characters came one by one, and the first
/// that completes a stop string ends the text. Of several that end there the one that begins first counts, then the first of the
/// list. Text from it on is never given out. One per sequence, a plain value.
class OutputText {
public:
  OutputText(std::unique_ptr<TextDecoder> decoder, std::vector<std::string> stops);
  std::string push(int32_t id);                                          // a null decoder gives no text
  std::string pushEnd(int32_t id);                                       // a token that ends the text and is not printed
  std::string finish();                                                  // the withheld tail, when the sequence ends otherwise
  const std::optional<std::string> &stopped() const { return stopped_; } // the stop string that was met

private:
  void take(std::string_view text, bool hidden);
  std::string release(bool last);
  size_t shownIn(size_t tail) const;
  std::unique_ptr<TextDecoder> decoder_;
  std::vector<std::string> stops_;
  std::string held_;             // text that is not given out yet
  std::string full_;             // the end of the text with hidden tokens in it, what may become a stop string
  std::vector<bool> fullHidden_; // which of its bytes are hidden
  std::optional<std::string> stopped_;
};

} // namespace heddle
