//===- OutputText.cpp - a request's text, cut before its stop strings ------------------------------------------------===//
#include "runtime/engine/OutputText.h"
#include <algorithm>

namespace heddle {

OutputText::OutputText(std::unique_ptr<TextDecoder> decoder, std::vector<std::string> stops)
    : decoder_(std::move(decoder)), stops_(std::move(stops)) {}

std::string OutputText::push(int32_t id) {
  if (!decoder_ || stopped_)
    return "";
  held_ += decoder_->push(id);
  return take(false);
}

std::string OutputText::finish() {
  if (!decoder_ || stopped_)
    return "";
  held_ += decoder_->flush();
  return take(true);
}

std::string OutputText::take(bool last) {
  size_t first = std::string::npos;
  for (const std::string &stop : stops_) {
    size_t at = held_.find(stop);
    if (at < first)
      first = at, stopped_ = stop;
  }
  size_t out = held_.size();
  if (stopped_) {
    out = first;
  } else if (!last) {
    for (const std::string &stop : stops_) // the longest tail that begins a stop string stays
      for (size_t n = std::min(stop.size() - 1, held_.size()); n > 0; --n)
        if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) {
          out = std::min(out, held_.size() - n);
          break;
        }
  }
  std::string text = held_.substr(0, out);
  held_.erase(0, out);
  return text;
}

} // namespace heddle
