//===- MemoryFit.cpp ---------------------------------------------------------------------------------------------------===//
#include "runtime/engine/MemoryFit.h"
#include "runtime/comm/Host.h"
#include <algorithm>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>

namespace heddle {
namespace {

/// Left for what nobody counts: page tables, messages, the frontend; and of a limit on addresses, threads' stacks and heaps,
/// which are hardly touched.
uint64_t reserveOf(uint64_t available) { return std::clamp<uint64_t>(available / 20, 16 << 20, 512 << 20); }
constexpr uint64_t kAddressReserve = 80 << 20;

std::string inBytes(uint64_t bytes) { return formatBytes(static_cast<double>(bytes)); }

} // namespace

std::vector<RankMemory> exchangeMemory(Communicator &group) {
  std::string boot; // containers may share a name, and hosts too
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  Memory mine = usableMemory();
  std::ostringstream text;
  text << boot << " " << hostName() << "\n"
       << hostName() << "\n"
       << mine.total << " " << mine.available << " " << mine.shared << "\n"
       << mine.limit;
  std::vector<RankMemory> ranks;
  for (const std::string &one : gatherStrings(group, text.str())) {
    std::istringstream lines(one);
    RankMemory &rank = ranks.emplace_back();
    std::getline(lines, rank.machine);
    std::getline(lines, rank.host);
    lines >> rank.memory.total >> rank.memory.available >> rank.memory.shared;
    lines.ignore(1);
    std::getline(lines, rank.memory.limit);
  }
  return ranks;
}

int64_t MemoryFit::Place::pagesLeft() const {
  uint64_t taken = fixed + reserve;
  if (taken > available)
    return 0;
  return page == 0 ? std::numeric_limits<int32_t>::max() : static_cast<int64_t>((available - taken) / page);
}

MemoryFit::MemoryFit(std::vector<RankMemory> ranks, std::vector<uint64_t> fixed, const StateShapes &kv)
    : ranks_(std::move(ranks)),
      canShrink_(std::ranges::any_of(kv.states, [](const StateShape &s) { return s.type == KvType::F16; })) {
  auto count = static_cast<int64_t>(ranks_.size());
  std::map<std::string, size_t> placeOf;
  for (int64_t r = 0; r < count; ++r) {
    const auto &[machine, host, memory] = ranks_[static_cast<size_t>(r)];
    auto page = static_cast<uint64_t>(kv.pageBytes(r, count));
    auto [found, fresh] = placeOf.try_emplace(machine, places_.size());
    if (fresh)
      places_.push_back({host, memory.limit, memory.shared, reserveOf(memory.shared)});
    Place &place = places_[found->second];
    place.available = std::min(place.available, memory.shared); // they looked at slightly different moments
    place.fixed += fixed[static_cast<size_t>(r)];
    place.page += page;
    ++place.ranks;
    if (memory.available < memory.shared)
      places_.push_back({host, memory.limit, memory.available, reserveOf(memory.available) + kAddressReserve,
                         fixed[static_cast<size_t>(r)], page, 1, true});
  }
  pages_ = std::numeric_limits<int64_t>::max();
  for (size_t p = 0; p < places_.size(); ++p)
    if (int64_t left = places_[p].pagesLeft(); left < pages_)
      pages_ = left, tightest_ = p;
}

std::string MemoryFit::refusal(int64_t pages, const std::string &what) const {
  const Place &place = places_[tightest_];
  std::string who = place.ranks > 1 ? "the " + std::to_string(place.ranks) + " ranks on " + place.name + " need" : "it needs";
  uint64_t kv = static_cast<uint64_t>(pages) * place.page;
  return "the model does not fit into memory: " + who + " " + inBytes(place.fixed + kv + place.reserve) + ", " +
         inBytes(place.fixed) + " for weights and buffers and " + inBytes(kv) + " for " + what + ", and " +
         inBytes(place.available) + " are available" + (place.limit.empty() ? "" : ", with " + place.limit) + "; " +
         (place.own ? "raise that limit, " : "") + "use a smaller or more quantised model, a shorter context, less --kv-memory" +
         (canShrink_ ? ", --kv-type q8" : "") + " or more hosts";
}

} // namespace heddle
