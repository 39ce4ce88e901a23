//===- OutputText.cpp - a request's text, cut before its stop strings ------------------------------------------------===//
#include "runtime/engine/OutputText.h"
#include <algorithm>

namespace heddle {
namespace {

/// The longest end of `text` that is the beginning of a stop string, but no whole one.
size_t openTail(std::string_view text, const std::vector<std::string> &stops) {
  size_t longest = 0;
  for (const std::string &stop : stops)
    for (size_t n = std::min(stop.size() - 1, text.size()); n > longest; --n)
      if (text.substr(text.size() - n) == std::string_view(stop).substr(0, n)) {
        longest = n;
        break;
      }
  return longest;
}

} // namespace

OutputText::OutputText(std::unique_ptr<TextDecoder> decoder, std::vector<std::string> stops)
    : decoder_(std::move(decoder)), stops_(std::move(stops)) {}

std::string OutputText::push(int32_t id) {
  if (!decoder_ || stopped_)
    return "";
  take(decoder_->push(id), false);
  if (!stops_.empty())
    take(decoder_->hidden(id), true);
  return release(false);
}

std::string OutputText::pushEnd(int32_t id) {
  if (!decoder_ || stopped_)
    return "";
  if (!stops_.empty())
    take(decoder_->hidden(id), true);
  return release(false);
}

std::string OutputText::finish() {
  if (!decoder_ || stopped_)
    return "";
  take(decoder_->flush(), false);
  return release(true);
}

/// Adds text byte by byte, up to the byte that completes a stop string. (Stop strings are whole characters, so it ends one.) What
/// stands before it can be released then.
void OutputText::take(std::string_view text, bool hidden) {
  if (stops_.empty()) {
    held_ += text;
    return;
  }
  for (size_t i = 0; i < text.size() && !stopped_; ++i) {
    full_ += text[i];
    fullHidden_.push_back(hidden);
    if (!hidden)
      held_ += text[i];
    size_t keep = std::string::npos; // of the text before the stop string
    for (const std::string &stop : stops_) {
      size_t before = std::string::npos;
      if (!hidden && held_.ends_with(stop))
        before = held_.size() - stop.size();
      else if (full_.ends_with(stop))
        before = held_.size() - shownIn(stop.size());
      if (before < keep)
        keep = before, stopped_ = stop;
    }
    if (stopped_)
      held_.resize(keep);
  }
}

/// What may be given out.
std::string OutputText::release(bool last) {
  size_t stays = 0;
  if (!stopped_ && !last && !stops_.empty()) {
    const size_t open = openTail(full_, stops_);
    stays = std::max(openTail(held_, stops_), shownIn(open));
    fullHidden_.erase(fullHidden_.begin(), fullHidden_.end() - static_cast<std::ptrdiff_t>(open));
    full_.erase(0, full_.size() - open);
  }
  std::string text = held_.substr(0, held_.size() - stays);
  held_.erase(0, text.size());
  return text;
}

/// Bytes that are given out, of the last `tail` of `full_`.
size_t OutputText::shownIn(size_t tail) const {
  return static_cast<size_t>(std::count(fullHidden_.end() - static_cast<std::ptrdiff_t>(tail), fullHidden_.end(), false));
}

} // namespace heddle
