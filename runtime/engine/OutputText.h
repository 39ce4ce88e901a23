//===- OutputText.h - a request's text, cut before its stop strings --------------------------------------------------===//
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace heddle {

/// Text of a growing list of tokens, in whole UTF-8 characters (runtime/text's StreamDecoder; fakes in tests).
class TextDecoder {
public:
  virtual ~TextDecoder() = default;
  virtual std::string push(int32_t id) = 0; // text that became complete
  virtual std::string flush() = 0;          // what is left
};
using TextDecoderFactory = std::function<std::unique_ptr<TextDecoder>()>; // one decoder per sequence

/// Gives a request's text out as early as can be: all but a tail that may still become a stop string. A stop string is found
/// wherever it lies across tokens; of several, the one that begins first counts, then the first of the list. Text from it on is
/// never given out. One per sequence, a plain value.
class OutputText {
public:
  OutputText(std::unique_ptr<TextDecoder> decoder, std::vector<std::string> stops);
  std::string push(int32_t id);                                          // a null decoder gives no text
  std::string finish();                                                  // the withheld tail, when the sequence ends otherwise
  const std::optional<std::string> &stopped() const { return stopped_; } // the stop string that was met

private:
  std::string take(bool last);
  std::unique_ptr<TextDecoder> decoder_;
  std::vector<std::string> stops_;
  std::string held_; // complete text that is not given out yet
  std::optional<std::string> stopped_;
};

} // namespace heddle
