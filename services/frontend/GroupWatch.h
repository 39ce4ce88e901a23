//===- GroupWatch.h - does a group of workers get on, or does it hang? -------------------------------------------------===//
//
// What dies is seen at once: its process, its socket. This is about what lives and does not move, and it must not take a slow or
// a paused machine for one that hangs.
//
//  * Time is what this process was awake for. Between two looks lies about a second; when it was more (everything was suspended,
//    or this process stopped, or starved), a second is counted, and stopped ranks are given a while to be woken, in any order.
//  * A rank that is stopped while this process runs is given up after `stoppedLimit`. On other hosts heddle-keeper looks at it
//  and
//    says so; a host of which nothing is heard may be slow.
//  * Rank 0 tells how often ranks of its host got on (a kernel run, a piece of weights read) and how much CPU time its thread has
//    used. A step, or a load, hangs when it got nowhere in `stallLimit` of CPU time, or when it neither got on nor used any CPU
//    for so long. A rank that is given little of a core therefore has as much longer.
//  * A launch hangs when its processes use no CPU for `launchLimit`, or after ten times that.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

namespace heddle {

/// Plain values and no clock of its own: whoever holds it says what time it is and what there was to see.
class GroupWatch {
public:
  using Time = std::chrono::steady_clock::time_point;
  using Span = std::chrono::nanoseconds;
  struct Limits {
    Span stopped, stall, launch;
  };
  struct Rank {
    int64_t rank;
    pid_t process;
    std::string host = {}; // empty: this one
  };
  explicit GroupWatch(Limits limits) : limits_(limits) {}

  void launched(Time now);
  /// One look, about every second, before the others' news of it.
  void look(Time now);
  /// While no worker has called back: CPU time of the group's processes on this host.
  void launching(Span cpu);
  void attached();
  /// A heartbeat of rank 0. `busy`: it loads the model or is in a step; `cpu` then is what its thread has used.
  void heartbeat(uint64_t progress, bool busy, Span cpu);
  /// Anything else of rank 0.
  void message();
  void ready() { loading_ = false; }
  /// A rank that is stopped, if one is.
  void stopped(std::optional<Rank> rank);

  /// Why the group is given up, if it is.
  std::optional<std::string> verdict() const;

private:
  Limits limits_;
  Time last_{};
  Span awake_{0}; // since the launch
  Span patience_{0};
  bool attached_ = false, loading_ = true, busy_ = false;
  uint64_t progress_ = 0;
  Span cpu_{0}, cpuAtProgress_{0};
  Span heardAt_{0}, progressAt_{0}, cpuAt_{0}; // in awake time
  std::optional<Rank> stopped_;
  Span stoppedAt_{0};
};

} // namespace heddle
