//===- HostCache.h - how much cache a thread has for itself ---------------------------------------------------------===//
#pragma once
#include <cstdint>

namespace heddle {

/// Where nobody knows.
constexpr int64_t kUsualCacheBytes = 512 << 10;

/// Bytes of L2 cache that a thread has for itself on this machine. Loops are blocked for it, so a plan's key names it.
int64_t hostCacheBytes();

} // namespace heddle
