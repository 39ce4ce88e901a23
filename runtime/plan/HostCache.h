//===- HostCache.h - what loops over weights are made for ------------------------------------------------------------===//
#pragma once
#include <cstdint>

namespace heddle {

/// Where nobody knows.
constexpr int64_t kUsualCacheBytes = 512 << 10;

/// Bytes of L2 cache that a thread has for itself on this machine. Loops are blocked for it, so a plan's key names it.
int64_t hostCacheBytes();

/// How far ahead products of few tokens ask for weights, where nobody knows better: a core that reads 40 GB/s from memory 100 ns
/// away has 4 KiB under way. On Zen 5, 8 KiB gave 1.1 to 1.9 times the speed of none (docs/performance.md).
constexpr int64_t kUsualPrefetchBytes = 8192;

/// The same for this machine; 0: it reads ahead better by itself. A plan's key names it too.
int64_t hostPrefetchBytes();

} // namespace heddle
