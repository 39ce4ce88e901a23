//===- CommunicatorChecks.h - what every communicator must do --------------------------------------------------------===//
//
// Run by every rank of a group at once: as threads (tests/unit/comm) and as MPI processes (tests/mpi).
//===---------------------------------------------------------------------------------------------------------------===//
#pragma once
#include "runtime/comm/Communicator.h"
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace heddle::test {

inline std::byte expected(int64_t call, int64_t row, int64_t column) {
  return static_cast<std::byte>((call * 131 + row * 31 + column * 7 + row * column) & 0xff);
}

/// One all-gather whose ranks own `end[r] - begin[r]` columns, some none; what nobody owns keeps its bytes.
inline void checkGather(Communicator &group, int64_t call, int64_t rows, int64_t rowBytes, const std::vector<int64_t> &begin,
                        const std::vector<int64_t> &end) {
  constexpr std::byte kUnset{0xee};
  std::vector<std::byte> data(rows * rowBytes, kUnset);
  int64_t me = group.rank();
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t c = begin[me]; c < end[me]; ++c)
      data[row * rowBytes + c] = expected(call, row, c);
  group.allGather(data.data(), rows, rowBytes, begin, end);
  std::vector<bool> owned(rowBytes);
  for (int64_t r = 0; r < group.size(); ++r)
    for (int64_t c = begin[r]; c < end[r]; ++c)
      owned[c] = true;
  int64_t wrong = 0;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < rowBytes; ++c)
      wrong += data[row * rowBytes + c] != (owned[c] ? expected(call, row, c) : kUnset);
  EXPECT_EQ(wrong, 0) << "call " << call << ": " << rows << " rows of " << rowBytes << " on rank " << me << " of "
                      << group.size();
}

/// Cuts [0, rowBytes) into ragged, partly empty parts that depend on `call`, the same on all ranks.
inline void raggedParts(int64_t call, int64_t rowBytes, int64_t ranks, std::vector<int64_t> &begin, std::vector<int64_t> &end) {
  begin.assign(ranks, 0), end.assign(ranks, 0);
  uint64_t state = static_cast<uint64_t>(call) * 2654435761u + 12345;
  int64_t at = 0;
  for (int64_t r = 0; r < ranks; ++r) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    int64_t left = rowBytes - at, take = (state >> 33) % 3 == 0 ? 0 : static_cast<int64_t>((state >> 20) % (left + 1));
    begin[r] = at, end[r] = at += take;
  }
}

inline void checkGathers(Communicator &group, int64_t calls) {
  std::vector<int64_t> begin, end;
  for (int64_t call = 0; call < calls; ++call) {
    int64_t rowBytes = 1 + (call * 97) % 3001, rows = 1 + (call * 13) % 7;
    raggedParts(call, rowBytes, group.size(), begin, end);
    checkGather(group, call, rows, rowBytes, begin, end);
  }
  begin.assign(group.size(), 0), end.assign(group.size(), 0);
  checkGather(group, calls, 3, 64, begin, end); // nobody has anything
  begin.back() = 1, end.back() = 2 << 20;
  checkGather(group, calls + 1, 2, (2 << 20) + 1, begin, end); // far bigger than a slot
  checkGather(group, calls + 2, 0, (2 << 20) + 1, begin, end); // no rows
}

inline void checkBroadcasts(Communicator &group) {
  int64_t call = 0;
  for (int64_t bytes : {0, 1, 100, 65536, 65537, 1000000, 3}) {
    ++call;
    std::vector<std::byte> message;
    if (group.rank() == 0)
      for (int64_t i = 0; i < bytes; ++i)
        message.push_back(expected(call, i >> 8, i));
    else
      message.assign(17, std::byte{0xaa}); // what was there before must go
    group.broadcast(message);
    ASSERT_EQ(static_cast<int64_t>(message.size()), bytes);
    int64_t wrong = 0;
    for (int64_t i = 0; i < bytes; ++i)
      wrong += message[i] != expected(call, i >> 8, i);
    EXPECT_EQ(wrong, 0) << bytes << " bytes on rank " << group.rank();
  }
}

inline void checkStrings(Communicator &group) {
  std::string mine(group.rank() * 3, static_cast<char>('a' + group.rank() % 26));
  auto texts = gatherStrings(group, mine);
  ASSERT_EQ(static_cast<int64_t>(texts.size()), group.size());
  for (int64_t r = 0; r < group.size(); ++r)
    EXPECT_EQ(texts[r], std::string(r * 3, static_cast<char>('a' + r % 26)));
}

/// As in decoding: a broadcast, then many small gathers, over and over.
inline void checkSteps(Communicator &group, int64_t steps) {
  std::vector<int64_t> begin, end;
  for (int64_t step = 0; step < steps; ++step) {
    std::vector<std::byte> plan;
    if (group.rank() == 0)
      plan.assign(64, static_cast<std::byte>(step));
    group.broadcast(plan);
    ASSERT_EQ(plan, std::vector<std::byte>(64, static_cast<std::byte>(step)));
    for (int64_t g = 0; g < 12; ++g) {
      raggedParts(step * 100 + g, 576, group.size(), begin, end);
      checkGather(group, step * 100 + g, 1, 576, begin, end);
    }
  }
}

} // namespace heddle::test
