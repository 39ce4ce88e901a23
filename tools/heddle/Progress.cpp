//===- Progress.cpp - a progress bar on a terminal --------------------------------------------------------------------===//
#include "tools/heddle/Progress.h"
#include <algorithm>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

namespace heddle::tool {

Progress::Progress(std::string label)
    : label_(std::move(label)), start_(Clock::now()), last_(start_), terminal_(isatty(STDERR_FILENO)) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (shown_)
    std::fputs("\r\033[K", stderr);
  shown_ = false;
}

void Progress::update(double fraction, std::string_view detail) {
  if (!terminal_)
    return;
  auto now = Clock::now();
  auto sinceStart = std::chrono::duration<double>(now - start_).count();
  if (sinceStart < 1 || (shown_ && now - last_ < std::chrono::milliseconds(100)))
    return;
  last_ = now;
  fraction = fraction >= 0 ? std::min(fraction, 1.0) : 0; // a NaN becomes 0
  winsize window{};
  int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col ? window.ws_col : 80;
  constexpr int width = 24;
  int full = int(fraction * width);
  std::string line =
      label_ + " [" + std::string(full, '#') + std::string(width - full, '.') + "] " + std::to_string(int(fraction * 100)) + "%";
  if (fraction > 0.02 && fraction < 1)
    line += ", " + formatSeconds(sinceStart * (1 - fraction) / fraction) + " left";
  if (!detail.empty())
    line += "  " + std::string(detail);
  if (int(line.size()) >= columns) // a wrapped line could not be cleared
    line.resize(columns - 1);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  shown_ = true;
}

std::string formatSeconds(double seconds) {
  char text[32];
  if (seconds < 1)
    std::snprintf(text, sizeof text, "%.0f ms", seconds * 1e3);
  else if (seconds < 60)
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  else
    std::snprintf(text, sizeof text, "%d min %d s", int(seconds) / 60, int(seconds) % 60);
  return text;
}

} // namespace heddle::tool
