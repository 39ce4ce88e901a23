//===- GatherStrings.cpp - every rank's text on every rank -----------------------------------------------------------===//
#include "runtime/comm/Communicator.h"
#include <cstring>

namespace heddle {

std::vector<std::string> gatherStrings(Communicator &group, const std::string &mine) {
  int64_t ranks = group.size(), me = group.rank();
  std::vector<int64_t> lengths(ranks), begin(ranks), end(ranks);
  lengths[me] = static_cast<int64_t>(mine.size());
  for (int64_t r = 0; r < ranks; ++r)
    begin[r] = r * 8, end[r] = (r + 1) * 8;
  group.allGather(reinterpret_cast<std::byte *>(lengths.data()), 1, ranks * 8, begin, end);

  int64_t total = 0;
  for (int64_t r = 0; r < ranks; ++r)
    begin[r] = total, end[r] = total += lengths[r];
  std::vector<std::byte> all(total);
  if (!mine.empty())
    std::memcpy(all.data() + begin[me], mine.data(), mine.size());
  group.allGather(all.data(), 1, total, begin, end);

  std::vector<std::string> texts;
  for (int64_t r = 0; r < ranks; ++r)
    texts.emplace_back(reinterpret_cast<const char *>(all.data()) + begin[r], lengths[r]);
  return texts;
}

} // namespace heddle
