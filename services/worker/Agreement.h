//===- Agreement.h - all ranks hold the same plan, or one line says which does not ----------------------------------===//
#pragma once
#include "runtime/comm/Communicator.h"
#include <cstdint>
#include <string>
#include <vector>

namespace heddle {

/// What every rank tells the others before anything else.
struct RankRecord {
  int64_t pid = 0;
  std::string host, planKey;
  std::string error; // why this rank cannot go on (no plan, no code for its CPU); empty when it can
};

/// Collective. Everyone's record, in rank order.
std::vector<RankRecord> exchangeRecords(Communicator &group, const RankRecord &mine);

/// The one line that tells what is wrong with the group, naming the host of the first rank at fault; empty when all is well.
std::string disagreement(const std::vector<RankRecord> &records, const std::string &planDirectory);

} // namespace heddle
