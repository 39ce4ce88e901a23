//===- Threads.h - may this process start more threads? -------------------------------------------------------------------===//
#pragma once
#include <cstdint>
#include <string>

namespace heddle {

/// Throws std::runtime_error where `count` threads more than there are cannot be started now: the user's processes and threads
/// (ulimit -u) or the container's (pids.max) are counted, and libraries end the program when they may not have one. Tries it, as
/// no limit says what others have taken. `what` needs them; `remedy` is what else can be done than to raise the limit.
/// `stackBytes`: of addresses for each.
void requireThreads(int64_t count, const std::string &what, const std::string &remedy, size_t stackBytes = 64 << 10);

} // namespace heddle
