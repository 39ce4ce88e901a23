//===- MemoryFit.h - do weights and KV cache fit into the memory of the ranks' hosts? ----------------------------------===//
#pragma once
#include "runtime/comm/Communicator.h"
#include "runtime/host/Resources.h"
#include "runtime/kvcache/KvMemory.h"
#include <string>
#include <vector>

namespace heddle {

/// What a rank's place offers. Ranks with equal `machine` take from one memory.
struct RankMemory {
  std::string machine, host; // which kernel; its name, for people
  Memory memory;
};
/// Collective. Everyone's, in rank order.
std::vector<RankMemory> exchangeMemory(Communicator &group);

/// Holds what a group takes against what its hosts have. A plain value.
class MemoryFit {
public:
  /// `fixed`: bytes that each rank takes whatever its KV cache: weights, tables, the buffers of a step.
  MemoryFit(std::vector<RankMemory> ranks, std::vector<uint64_t> fixed, const StateShapes &kv);

  /// Pages of KV cache that every host, and every rank's process, has room for beside the rest; 0 when not even that fits.
  int64_t pages() const { return pages_; }
  uint64_t total() const { return ranks_[0].memory.total; } // of rank 0's host
  /// One line: what a group with so many pages needs where it does not fit, and what there is. `what` the pages are for.
  std::string refusal(int64_t pages, const std::string &what) const;

private:
  struct Place { // a host with its ranks, or a single process that has a limit of its own
    std::string name, limit;
    uint64_t available, reserve, fixed = 0, page = 0; // bytes; of the reserve see MemoryFit.cpp
    int64_t ranks = 0;
    bool own = false; // a single process
    int64_t pagesLeft() const;
  };
  std::vector<RankMemory> ranks_;
  std::vector<Place> places_;
  bool canShrink_; // some state is f16
  int64_t pages_ = 0;
  size_t tightest_ = 0; // of places_
};

} // namespace heddle
