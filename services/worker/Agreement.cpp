//===- Agreement.cpp -----------------------------------------------------------------------------------------------===//
#include "services/worker/Agreement.h"
#include <sstream>

namespace heddle {

std::vector<RankRecord> exchangeRecords(Communicator &group, const RankRecord &mine) {
  // One field a line; the error comes last and may have lines of its own.
  std::string text = std::to_string(mine.pid) + "\n" + mine.host + "\n" + mine.planKey + "\n" + mine.error;
  std::vector<RankRecord> records;
  for (const std::string &one : gatherStrings(group, text)) {
    std::istringstream lines(one);
    RankRecord record;
    std::string pid;
    std::getline(lines, pid);
    std::getline(lines, record.host);
    std::getline(lines, record.planKey);
    std::getline(lines, record.error, '\0');
    record.pid = std::stoll(pid);
    records.push_back(std::move(record));
  }
  return records;
}

std::string disagreement(const std::vector<RankRecord> &records, const std::string &planDirectory) {
  auto where = [&](size_t rank) { return "rank " + std::to_string(rank) + " on host " + records[rank].host; };
  for (size_t rank = 0; rank < records.size(); ++rank)
    if (!records[rank].error.empty())
      return where(rank) + ": " + records[rank].error;
  for (size_t rank = 1; rank < records.size(); ++rank)
    if (records[rank].planKey != records[0].planKey)
      return where(rank) + " has another plan in " + planDirectory + " (key " + records[rank].planKey.substr(0, 12) +
             ", rank 0 has " + records[0].planKey.substr(0, 12) + "); copy the plan from host " + records[0].host;
  return {};
}

} // namespace heddle
