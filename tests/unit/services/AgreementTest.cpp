//===- AgreementTest.cpp - ranks that hold different plans say so ---------------------------------------------------===//
#include "services/worker/Agreement.h"
#include "services/worker/Arguments.h"
#include <gtest/gtest.h>
#include <stdexcept>
#include <thread>

using namespace heddle;

namespace {

/// exchangeRecords on threads; every rank's result.
std::vector<std::vector<RankRecord>> exchange(const std::vector<RankRecord> &records) {
  auto group = makeThreadCommunicators(static_cast<int64_t>(records.size()));
  std::vector<std::vector<RankRecord>> results(records.size());
  std::vector<std::thread> threads;
  for (size_t r = 0; r < records.size(); ++r)
    threads.emplace_back([&, r] { results[r] = exchangeRecords(*group[r], records[r]); });
  for (std::thread &thread : threads)
    thread.join();
  return results;
}

TEST(Agreement, EveryRankLearnsOfEveryOther) {
  std::vector<RankRecord> records = {{10, "a", "key", ""}, {11, "b", "key", ""}, {12, "b", "key", "two\nlines"}};
  for (const auto &result : exchange(records)) {
    ASSERT_EQ(result.size(), 3u);
    for (size_t r = 0; r < 3; ++r) {
      EXPECT_EQ(result[r].pid, records[r].pid);
      EXPECT_EQ(result[r].host, records[r].host);
      EXPECT_EQ(result[r].planKey, records[r].planKey);
      EXPECT_EQ(result[r].error, records[r].error);
    }
  }
}

TEST(Agreement, OneLineNamesTheRankAtFault) {
  EXPECT_EQ(disagreement({{1, "a", "key", ""}, {2, "b", "key", ""}}, "/p"), "");
  EXPECT_EQ(disagreement({{1, "a", "key", ""}, {2, "b", "", "/p: is no plan"}}, "/p"), "rank 1 on host b: /p: is no plan");
  EXPECT_EQ(disagreement({{1, "a", "key", ""}, {2, "b", "other", ""}}, "/p"),
            "rank 1 on host b has another plan in /p (key other, rank 0 has key); copy the plan from host a");
}

WorkerArguments parse(std::vector<std::string> words) {
  std::vector<char *> pointers;
  for (std::string &word : words)
    pointers.push_back(word.data());
  return parseWorkerArguments(pointers);
}

TEST(WorkerArguments, AreReadAndChecked) {
  WorkerArguments got = parse({"--plan", "p", "--socket", "s", "--epoch", "18446744073709551615", "--threads", "2", "--context",
                               "64", "--kv-memory", "123456789012", "--token-budget", "77", "--target", "x86-64-v3"});
  EXPECT_EQ(got.plan, "p");
  EXPECT_EQ(got.socket, "s");
  EXPECT_EQ(got.epoch, UINT64_MAX);
  EXPECT_EQ(got.threads, 2);
  EXPECT_EQ(got.context, 64);
  EXPECT_EQ(got.kvBytes, 123456789012u);
  EXPECT_EQ(got.tokenBudget, 77);
  EXPECT_EQ(got.target, "x86-64-v3");
  EXPECT_THROW(parse({"--plan", "p"}), std::invalid_argument);
  EXPECT_THROW(parse({"--plan", "p", "--socket"}), std::invalid_argument);
  EXPECT_THROW(parse({"--plan", "p", "--socket", "s", "--threads", "-1"}), std::invalid_argument);
  EXPECT_THROW(parse({"--plan", "p", "--socket", "s", "--threads", "2x"}), std::invalid_argument);
  EXPECT_THROW(parse({"--plan", "p", "--socket", "s", "--colour", "red"}), std::invalid_argument);
}

} // namespace
