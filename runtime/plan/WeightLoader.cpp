//===- WeightLoader.cpp - a rank's part of the weights in memory -----------------------------------------------------===//
#include "runtime/plan/WeightLoader.h"
#include "runtime/plan/Files.h"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <iterator>
#include <map>
#include <mutex>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <thread>
#include <utility>

namespace heddle {
namespace {

constexpr uint64_t kHugePage = 2 << 20, kAlignment = 64;
constexpr uint64_t kReadBytes = 4 << 20; // of one task: large for the disk, small enough to share out

uint64_t roundUp(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

/// The bytes of weights.bin that a rank needs of a weight; an empty range for an empty share.
std::pair<uint64_t, uint64_t> fileRange(const WeightEntry &w, const PagedState &kv, int64_t rank, int64_t ranks) {
  if (w.share == ShareKind::Whole)
    return {w.offset, w.bytes};
  const Share rows = rowShare(w, kv, rank, ranks);
  const uint64_t group = static_cast<uint64_t>(traits(w.format).groupBytes(w.columns));
  const int64_t first = rows.begin / kGroupRows, end = (rows.end + kGroupRows - 1) / kGroupRows; // units are whole groups
  return {w.offset + static_cast<uint64_t>(first) * group, rows.size() > 0 ? static_cast<uint64_t>(end - first) * group : 0};
}

/// Anonymous memory aligned to huge pages.
std::byte *mapHuge(const std::filesystem::path &shown, uint64_t bytes) {
  const uint64_t size = bytes + kHugePage;
  void *base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    throw PlanError(shown.string() + ": no memory for " + std::to_string(bytes >> 20) +
                    " MiB of weights: use more ranks or a smaller model");
  auto *begin = static_cast<std::byte *>(base);
  const uint64_t lead = (kHugePage - reinterpret_cast<uintptr_t>(base) % kHugePage) % kHugePage;
  if (lead)
    ::munmap(begin, lead);
  if (size - lead > bytes)
    ::munmap(begin + lead + bytes, size - lead - bytes);
  ::madvise(begin + lead, bytes, MADV_HUGEPAGE); // a kernel without them: slower, not wrong
  return begin + lead;
}

/// Fills the region with several readers; each page is first touched by the reader that fills it.
void fill(const files::File &file, const RankLayout &layout, std::byte *region, int threads) {
  std::vector<RankLayout::Segment> tasks;
  for (const auto &s : layout.segments)
    for (uint64_t at = 0; at < s.bytes; at += kReadBytes)
      tasks.push_back({s.from + at, s.to + at, std::min(kReadBytes, s.bytes - at)});
  std::atomic<size_t> next = 0;
  std::exception_ptr failure;
  std::mutex failureMutex;
  auto work = [&] {
    try {
      for (size_t i; (i = next++) < tasks.size();)
        file.readAt(tasks[i].from, {region + tasks[i].to, tasks[i].bytes});
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
  struct sysinfo info;
  if (::sysinfo(&info) != 0)
    return;
  const uint64_t unit = info.mem_unit, free = (info.freeram + info.bufferram) * unit, total = info.totalram * unit;
  if (free < total / 8)
    ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
}

} // namespace

RankLayout rankLayout(const Manifest &manifest, int64_t rank, int64_t ranks) {
  RankLayout layout;
  std::map<uint64_t, size_t> placed; // segment by its begin in the file
  // Whole weights first: tied embeddings are one weight that is listed twice, whole and cut by rows.
  layout.offsets.assign(manifest.weights.size(), 0);
  auto place = [&](size_t i) {
    auto [from, bytes] = fileRange(manifest.weights[i], manifest.kv, rank, ranks);
    if (bytes == 0)
      return;
    if (auto next = placed.upper_bound(from); next != placed.begin()) {
      const RankLayout::Segment &s = layout.segments[std::prev(next)->second];
      if (from + bytes <= s.from + s.bytes && (from - s.from) % kAlignment == 0) {
        layout.offsets[i] = static_cast<int64_t>(s.to + (from - s.from));
        return;
      }
    }
    const uint64_t to = roundUp(layout.bytes, kAlignment);
    placed[from] = layout.segments.size();
    layout.segments.push_back({from, to, bytes});
    layout.offsets[i] = static_cast<int64_t>(to);
    layout.bytes = to + bytes;
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
  if (options.mapFile) {
    result.bytes_ = file.size();
    for (const WeightEntry &w : plan.manifest().weights) {
      auto [from, bytes] = fileRange(w, plan.manifest().kv, rank, ranks);
      if (from + bytes > result.bytes_)
        throw PlanError(path.string() + ": became shorter: compile the model again");
      result.offsets_.push_back(bytes ? static_cast<int64_t>(from) : 0);
    }
    if (result.bytes_ > 0) {
      void *base = ::mmap(nullptr, result.bytes_, PROT_READ, MAP_SHARED, file.fd(), 0);
      if (base == MAP_FAILED)
        files::throwSystem(path, "map", errno);
      result.data_ = static_cast<std::byte *>(base);
      result.mapped_ = result.bytes_;
      return result;
    }
  }
  RankLayout layout = rankLayout(plan.manifest(), rank, ranks);
  result.bytes_ = roundUp(std::max<uint64_t>(layout.bytes, 1), kHugePage);
  result.data_ = mapHuge(path, result.bytes_);
  result.mapped_ = result.bytes_;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  fill(file, layout, result.data_, options.threads > 0 ? options.threads : std::min(cores, 4));
  ::mprotect(result.data_, result.bytes_, PROT_READ); // a stray write of a kernel ends here, not in wrong answers
  dropCachedCopyIfShort(file);
  result.offsets_ = std::move(layout.offsets);
  return result;
}

RankWeights::RankWeights(RankWeights &&other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_), mapped_(std::exchange(other.mapped_, 0)),
      offsets_(std::move(other.offsets_)) {}

RankWeights &RankWeights::operator=(RankWeights &&other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
  std::swap(offsets_, other.offsets_);
  return *this;
}

RankWeights::~RankWeights() {
  if (data_)
    ::munmap(data_, mapped_);
}

} // namespace heddle
