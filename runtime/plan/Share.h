//===- Share.h - which part of a sharded dimension a rank owns ------------------------------------------------------===//
//
// The formula that the compiled step, the all-gathers and the weight loader all use. Any number of ranks works: a share may
// be empty. Multiplication stays in int64: units < 2^31 and ranks < 2^31.
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include <cstdint>

namespace heddle {

struct Share {
  int64_t begin = 0, end = 0; // half-open, in units
  int64_t size() const { return end - begin; }
  bool operator==(const Share &) const = default;
};

/// Part `rank` of `units` cut into `ranks` parts whose sizes differ by at most one.
inline Share share(int64_t units, int64_t rank, int64_t ranks) { return {units * rank / ranks, units * (rank + 1) / ranks}; }

/// The KV heads that the query heads `q` read, `group` query heads to a KV head. Empty for an empty share.
inline Share kvShare(Share q, int64_t group) {
  if (q.begin == q.end)
    return {q.begin / group, q.begin / group};
  return {q.begin / group, (q.end + group - 1) / group};
}

} // namespace heddle
