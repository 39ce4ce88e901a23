//===- GroupWatch.cpp --------------------------------------------------------------------------------------------------===//
#include "services/frontend/GroupWatch.h"
#include <algorithm>

namespace heddle {

using namespace std::chrono_literals;

namespace {

constexpr GroupWatch::Span kGap = 3s;       // between two looks: longer than any load of the machine explains
constexpr GroupWatch::Span kPatience = 30s; // for stopped ranks after such a gap

std::string seconds(GroupWatch::Span span) { return std::to_string(span / 1s) + " s"; }

} // namespace

void GroupWatch::launched(Time now) {
  *this = GroupWatch(limits_);
  last_ = now;
}

void GroupWatch::look(Time now) {
  Span since = std::max<Span>(now - last_, 0s);
  last_ = now;
  awake_ += since > kGap ? Span(1s) : since;
  if (since > kGap)
    patience_ = awake_ + kPatience;
}

void GroupWatch::launching(Span cpu) {
  if (cpu == cpu_)
    return;
  cpu_ = cpu;
  cpuAt_ = awake_;
}

void GroupWatch::attached() {
  attached_ = true;
  heardAt_ = progressAt_ = cpuAt_ = awake_;
  cpu_ = cpuAtProgress_ = 0s;
}

void GroupWatch::heartbeat(uint64_t progress, bool busy, Span cpu) {
  heardAt_ = awake_;
  if (cpu != cpu_)
    cpuAt_ = awake_;
  cpu_ = cpu;
  if (progress != progress_ || !busy || !busy_) { // a step that has just begun starts afresh
    progressAt_ = awake_;
    cpuAtProgress_ = cpu;
  }
  progress_ = progress;
  busy_ = busy;
}

void GroupWatch::message() {
  heardAt_ = progressAt_ = awake_;
  cpuAtProgress_ = cpu_;
}

void GroupWatch::stopped(std::optional<Rank> rank) {
  if (!stopped_ || awake_ < patience_)
    stoppedAt_ = awake_;
  stopped_ = rank;
}

std::optional<std::string> GroupWatch::verdict() const {
  if (!attached_) {
    if (awake_ - cpuAt_ > limits_.launch)
      return "no worker called back, and nothing has moved for " + seconds(limits_.launch) + " of the launch";
    if (awake_ > 10 * limits_.launch)
      return "no worker called back within " + seconds(10 * limits_.launch) + " of the launch";
    return std::nullopt;
  }
  if (stopped_ && awake_ - stoppedAt_ >= limits_.stopped)
    return "rank " + std::to_string(stopped_->rank) + " (process " + std::to_string(stopped_->process) +
           (stopped_->host.empty() ? "" : " on host " + stopped_->host) + ") was stopped for " + seconds(limits_.stopped);
  if (awake_ - heardAt_ > limits_.stall)
    return "rank 0 was silent for " + seconds(limits_.stall);
  if (!busy_)
    return std::nullopt;
  const char *what = loading_ ? "loading the model" : "an engine step";
  if (cpu_ - cpuAtProgress_ > limits_.stall)
    return std::string(what) + " got nowhere in " + seconds(limits_.stall) + " of computing";
  if (awake_ - std::max(progressAt_, cpuAt_) > limits_.stall)
    return std::string(what) + " stood still for " + seconds(limits_.stall);
  return std::nullopt;
}

} // namespace heddle
