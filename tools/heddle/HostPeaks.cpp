//===- HostPeaks.cpp -----------------------------------------------------------------------------------------------------===//
//
// Intrinsics stand here because the yardstick must not depend on what it measures: no model runs through this file, whose loops
// only find out what memory and multipliers can give. The model's kernels are the compiler's alone.
//===---------------------------------------------------------------------------------------------------------------===//
#include "tools/heddle/HostPeaks.h"
#include "runtime/host/OpenMpFiles.h"
#include "runtime/host/Resources.h"
#include "runtime/host/Threads.h"
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <immintrin.h>
#include <omp.h>

namespace heddle::tool {
namespace {

constexpr int kRounds = 5, kAccumulators = 12; // enough to hide the latency of two FMA units
constexpr size_t kBytes = size_t{512} << 20;   // several times the last-level cache of all but the largest hosts
constexpr size_t kLeastBytes = size_t{8} << 20;
constexpr int64_t kTurns = 1 << 20;

// Keeps a loop's operands from being folded and its results from being dropped.
template <class Vector> void opaque(Vector &v) { asm volatile("" : "+x"(v)); }

/// Each reads `bytes` at `from` once; wide loads, hardware prefetch.
int64_t readAll(const std::byte *from, size_t bytes) {
  __m256i sum[4] = {};
  for (size_t i = 0; i + 128 <= bytes; i += 128)
    for (int j = 0; j < 4; ++j)
      sum[j] = _mm256_xor_si256(sum[j], _mm256_load_si256(reinterpret_cast<const __m256i *>(from + i) + j));
  __m256i all = _mm256_xor_si256(_mm256_xor_si256(sum[0], sum[1]), _mm256_xor_si256(sum[2], sum[3]));
  return _mm256_extract_epi64(all, 0);
}

// Operations of one turn of each loop below: a multiplication and an addition a lane and accumulator.
constexpr double kFloat256 = 2 * 8 * kAccumulators, kFloat512 = 2 * kFloat256;
constexpr double kInt256 = 2 * 32 * kAccumulators, kInt512 = 2 * kInt256;

void float256() {
  __m256 acc[kAccumulators] = {}, x = _mm256_set1_ps(0.5f), y = x;
  opaque(x), opaque(y); // or the compiler would multiply by constants
  for (int64_t turn = 0; turn < kTurns; ++turn)
    for (auto &a : acc) {
      a = _mm256_fmadd_ps(x, y, a);
      opaque(a);
    }
}
__attribute__((target("avx512f"))) void float512() {
  __m512 acc[kAccumulators] = {}, x = _mm512_set1_ps(0.5f), y = x;
  asm volatile("" : "+v"(x), "+v"(y));
  for (int64_t turn = 0; turn < kTurns; ++turn)
    for (auto &a : acc) {
      a = _mm512_fmadd_ps(x, y, a);
      asm volatile("" : "+v"(a));
    }
}
/// As kernels without VNNI multiply 4-bit codes: pairs of u8·i8 into 16 bits, added up there. Each product takes its own
/// accumulator's last value, as equal products would be made once.
void int256() {
  __m256i acc[kAccumulators] = {}, y = _mm256_set1_epi8(1);
  opaque(y);
  for (int64_t turn = 0; turn < kTurns; ++turn)
    for (auto &a : acc) {
      a = _mm256_add_epi16(y, _mm256_maddubs_epi16(a, y));
      opaque(a);
    }
}
__attribute__((target("avx512f,avx512bw"))) void int512() {
  __m512i acc[kAccumulators] = {}, y = _mm512_set1_epi8(1);
  asm volatile("" : "+v"(y));
  for (int64_t turn = 0; turn < kTurns; ++turn)
    for (auto &a : acc) {
      a = _mm512_add_epi16(y, _mm512_maddubs_epi16(a, y));
      asm volatile("" : "+v"(a));
    }
}
__attribute__((target("avx512f,avx512vnni"))) void intVnni() {
  __m512i acc[kAccumulators] = {}, x = _mm512_set1_epi8(1), y = x;
  asm volatile("" : "+v"(x), "+v"(y));
  for (int64_t turn = 0; turn < kTurns; ++turn)
    for (auto &a : acc) {
      a = _mm512_dpbusd_epi32(a, x, y);
      asm volatile("" : "+v"(a));
    }
}
__attribute__((target("avxvnni"))) void intVnni256() {
  __m256i acc[kAccumulators] = {}, x = _mm256_set1_epi8(1), y = x;
  opaque(x), opaque(y);
  for (int64_t turn = 0; turn < kTurns; ++turn)
    for (auto &a : acc) {
      a = _mm256_dpbusd_avx_epi32(a, x, y);
      opaque(a);
    }
}

bool startOpenMp() {
  OpenMpStart start;
  return omp_get_max_threads() > 0;
}

/// A function of its own: compilers call the library at the beginning of one that uses it, and it must be started before.
[[gnu::noinline]] double timed(int64_t threads, const std::function<void(int64_t)> &body) {
  double begin = omp_get_wtime();
#pragma omp parallel num_threads(static_cast<int>(threads))
  body(omp_get_thread_num());
  return omp_get_wtime() - begin;
}

/// Seconds of `body`, entered by all threads at once.
double secondsOf(int64_t threads, const std::function<void(int64_t)> &body) {
  static const bool started = startOpenMp();
  static_cast<void>(started);
  return timed(threads, body);
}

double medianOfRounds(const std::function<double()> &round) {
  std::array<double, kRounds> values;
  std::ranges::generate(values, round);
  std::ranges::sort(values);
  return values[kRounds / 2];
}

} // namespace

ReadBandwidth::ReadBandwidth(int64_t threads)
    : buffer_(std::clamp<size_t>(usableMemory().available / 4, kLeastBytes, kBytes), "measuring the read bandwidth"),
      threads_(threads), share_(buffer_.size() / static_cast<size_t>(threads) / 128 * 128) {
  secondsOf(threads_, [&](int64_t thread) { std::memset(mine(thread), 1, share_); });
}

double ReadBandwidth::once() {
  double seconds = secondsOf(threads_, [&](int64_t thread) {
    int64_t kept = readAll(mine(thread), share_);
    asm volatile("" : : "r"(kept));
  });
  return static_cast<double>(share_) * static_cast<double>(threads_) / seconds;
}

HostPeaks measureHostPeaks(int64_t threads) {
  requireThreads(threads - 1, "measuring this host", "lower --threads");
  bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  bool vnni = wide && __builtin_cpu_supports("avx512vnni");
  bool narrowVnni = __builtin_cpu_supports("avxvnni");
  ReadBandwidth reading(threads);
  auto rate = [&](double operations, void (*loop)()) { // of a turn of the loop
    double turns = static_cast<double>(kTurns) * static_cast<double>(threads);
    return turns * operations / medianOfRounds([&] { return secondsOf(threads, [&](int64_t) { loop(); }); });
  };
  return {medianOfRounds([&] { return reading.once(); }),
          rate(wide ? kInt512 : kInt256, vnni         ? intVnni
                                         : wide       ? int512
                                         : narrowVnni ? intVnni256
                                                      : int256),
          rate(wide ? kFloat512 : kFloat256, wide ? float512 : float256)};
}

} // namespace heddle::tool
