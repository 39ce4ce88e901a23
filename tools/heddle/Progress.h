//===- Progress.h - a progress bar on a terminal ----------------------------------------------------------------------===//
#pragma once
#include "runtime/host/Resources.h" // formatBytes
#include <chrono>
#include <string>
#include <string_view>

namespace heddle::tool {

/// A bar on stderr for anything longer than a second: nothing appears before that, nothing at all when stderr is no terminal, and
/// the line is cleared at the end. One thread.
class Progress {
public:
  explicit Progress(std::string label);
  ~Progress();
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;
  /// `fraction` of the work is done (clamped to [0, 1]); cheap enough to call in inner loops.
  void update(double fraction, std::string_view detail = {});
  void clear();

private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  Clock::time_point start_, last_;
  bool terminal_, shown_ = false;
};

/// "820 ms", "3.2 s", "4 min 10 s"
std::string formatSeconds(double seconds);

} // namespace heddle::tool
