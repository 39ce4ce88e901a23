//===- WeightLoader.cpp - a rank's part of the weights in memory -----------------------------------------------------===//
#include "runtime/plan/WeightLoader.h"
#include "runtime/host/Resources.h"
#include "runtime/plan/Files.h"
#include "runtime/plan/WeightSums.h"
#include <algorithm>
#include <atomic>
#include <exception>
#include <fcntl.h>
#include <iterator>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <utility>

namespace heddle {
namespace {

constexpr uint64_t kHugePage = 2 << 20, kAlignment = 64;
constexpr uint64_t kReadBytes = 4 << 20;    // of one task: large for the disk, small enough to share out
constexpr uint64_t kCheckBytes = 256 << 10; // read at once: still in the cache when it is checked

uint64_t roundUp(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

struct Range {
  uint64_t from, bytes;
};

/// The bytes of weights.bin that a rank needs of a weight: one range, or of a rank's share of experts one for each; none for an
/// empty share.
std::vector<Range> fileRanges(const WeightEntry &w, int64_t rank, int64_t ranks) {
  const Share rows = rowShare(w, rank, ranks);
  if (w.share == ShareKind::Whole || rows.size() * w.experts == w.rows)
    return {{w.offset, w.bytes}};
  std::vector<Range> ranges;
  const auto group = static_cast<uint64_t>(traits(w.format).groupBytes(w.columns));
  const int64_t first = rows.begin / kGroupRows, end = (rows.end + kGroupRows - 1) / kGroupRows; // units are whole groups
  for (int64_t expert = 0; expert < w.experts && rows.size() > 0; ++expert) {
    const int64_t before = expert * (w.rows / w.experts / kGroupRows);
    ranges.push_back({w.offset + static_cast<uint64_t>(before + first) * group, static_cast<uint64_t>(end - first) * group});
  }
  return ranges;
}

/// Cuts a segment into pieces of about `size` bytes, whole parts each.
template <class Visit> void cut(const RankLayout::Segment &s, uint64_t size, Visit visit) {
  const uint64_t parts = std::max<uint64_t>(1, size / s.part);
  for (uint64_t at = 0, sum = s.sum; at < s.bytes; at += parts * s.part, sum += parts)
    visit(RankLayout::Segment{s.from + at, s.to + at, std::min(parts * s.part, s.bytes - at), s.part, sum});
}

/// Fills the region with several readers; each page is first touched by the reader that fills it.
void fill(const Plan &plan, const files::File &file, const RankLayout &layout, std::byte *region, int threads,
          std::atomic<uint64_t> *progress) {
  const std::vector<uint64_t> sums = readWeightSums(plan);
  std::vector<RankLayout::Segment> tasks;
  for (const auto &s : layout.segments)
    cut(s, kReadBytes, [&](const RankLayout::Segment &task) { tasks.push_back(task); });
  std::atomic<size_t> next = 0;
  std::exception_ptr failure;
  std::mutex failureMutex;
  auto work = [&] {
    try {
      for (size_t i; (i = next++) < tasks.size();) {
        cut(tasks[i], kCheckBytes, [&](const RankLayout::Segment &piece) {
          const std::span<std::byte> bytes(region + piece.to, piece.bytes);
          file.readAt(piece.from, bytes);
          checkWeights(plan, bytes, piece.part, sums, piece.sum, piece.from);
        });
        if (progress)
          ++*progress;
      }
    } catch (...) {
      std::lock_guard guard(failureMutex);
      failure = std::current_exception();
      next = tasks.size();
    }
  };
  std::vector<std::jthread> readers;
  const size_t count = std::min<size_t>(static_cast<size_t>(std::max(threads, 1)), tasks.size());
  for (size_t i = 1; i < count; ++i)
    readers.emplace_back(work);
  work();
  readers.clear(); // joins
  if (failure)
    std::rethrow_exception(failure);
}

/// The page cache holds a second copy now; where memory is short it goes at once.
void dropCachedCopyIfShort(const files::File &file) {
  const Memory memory = usableMemory();
  if (memory.available < memory.total / 4)
    ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
}

} // namespace

RankLayout rankLayout(const Manifest &manifest, int64_t rank, int64_t ranks) {
  RankLayout layout;
  std::map<uint64_t, size_t> placed; // segment by its begin in the file
  const SumLayout sums = sumLayout(manifest);
  // Whole weights first: tied embeddings are one weight that is listed twice, whole and cut by rows.
  layout.offsets.assign(manifest.weights.size(), 0);
  auto place = [&](size_t i) {
    const std::vector<Range> ranges = fileRanges(manifest.weights[i], rank, ranks);
    if (ranges.empty())
      return;
    if (auto [from, bytes] = ranges.front(); ranges.size() == 1)
      if (auto next = placed.upper_bound(from); next != placed.begin()) {
        const RankLayout::Segment &s = layout.segments[std::prev(next)->second];
        if (from + bytes <= s.from + s.bytes && (from - s.from) % kAlignment == 0) {
          layout.offsets[i] = static_cast<int64_t>(s.to + (from - s.from));
          return;
        }
      }
    layout.bytes = roundUp(layout.bytes, kAlignment);
    layout.offsets[i] = static_cast<int64_t>(layout.bytes);
    const WeightEntry &w = manifest.weights[i];
    const uint64_t part = checkedBytes(w);
    for (auto [from, bytes] : ranges) { // experts stand without gaps
      placed[from] = layout.segments.size();
      layout.segments.push_back({from, layout.bytes, bytes, part, sums.first[i] + (from - w.offset) / part});
      layout.bytes += bytes;
    }
  };
  for (bool whole : {true, false})
    for (size_t i = 0; i < manifest.weights.size(); ++i)
      if ((manifest.weights[i].share == ShareKind::Whole) == whole)
        place(i);
  return layout;
}

RankWeights RankWeights::load(const Plan &plan, int64_t rank, int64_t ranks, const LoadOptions &options) {
  if (ranks < 1 || rank < 0 || rank >= ranks)
    throw PlanError(plan.directory().string() + ": there is no rank " + std::to_string(rank) + " of " + std::to_string(ranks));
  const auto path = plan.file("weights.bin");
  files::File file(path, O_RDONLY | O_NONBLOCK, "open");
  RankWeights result;
  RankLayout layout = rankLayout(plan.manifest(), rank, ranks);
  result.memory_ = HugeBuffer(roundUp(std::max<uint64_t>(layout.bytes, 1), kHugePage), "weights");
  const int readers = options.threads > 0 ? options.threads : static_cast<int>(std::min<int64_t>(defaultThreads(1), 4));
  fill(plan, file, layout, result.data(), readers, options.progress);
  ::mprotect(result.data(), result.bytes(), PROT_READ); // a stray write of a kernel ends here, not in wrong answers
  dropCachedCopyIfShort(file);
  result.offsets_ = std::move(layout.offsets);
  return result;
}

} // namespace heddle
