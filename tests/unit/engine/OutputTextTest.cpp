// Text is given out early, whole, and never past a stop string.
#include "runtime/engine/OutputText.h"
#include "tests/unit/engine/EngineHarness.h"
#include <gtest/gtest.h>
#include <random>

using namespace heddle;
using namespace heddle::test;

namespace {

/// Token n is the text pieces[n % size]; "|" holds the rest of a piece back until the next token, as a split character would be.
class PieceDecoder : public TextDecoder {
public:
  explicit PieceDecoder(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  std::string push(int32_t id) override {
    std::string text = held_ + pieces_[id % pieces_.size()];
    size_t bar = text.find('|');
    held_ = bar == std::string::npos ? "" : text.substr(bar + 1);
    return text.substr(0, bar);
  }
  std::string flush() override { return std::exchange(held_, "") + "~"; }

private:
  std::vector<std::string> pieces_;
  std::string held_;
};

OutputText make(std::vector<std::string> pieces, std::vector<std::string> stops) {
  return OutputText(std::make_unique<PieceDecoder>(std::move(pieces)), std::move(stops));
}

TEST(OutputText, GivesTextAtOnceWhenNothingCanStop) {
  OutputText text = make({"Hello", ", ", "wor|ld"}, {});
  EXPECT_EQ(text.push(0), "Hello");
  EXPECT_EQ(text.push(1), ", ");
  EXPECT_EQ(text.push(2), "wor");
  EXPECT_EQ(text.finish(), "ld~");
  EXPECT_FALSE(text.stopped());
}

TEST(OutputText, WithholdsWhatMayBecomeAStopString) {
  OutputText text = make({"a\n", "\nUs", "er", ":x", "\nUsed"}, {"\n\nUser:"});
  EXPECT_EQ(text.push(0), "a");
  EXPECT_EQ(text.push(4), "\n\nUsed"); // it was another text
  EXPECT_EQ(text.push(0), "a");
  EXPECT_EQ(text.push(1), "");
  EXPECT_EQ(text.push(2), "");
  EXPECT_EQ(text.push(3), "");
  EXPECT_EQ(text.stopped(), "\n\nUser:");
  EXPECT_EQ(text.push(0), "");
  EXPECT_EQ(text.finish(), "");
}

TEST(OutputText, FinishGivesTheWithheldTail) {
  OutputText text = make({"end", "STO"}, {"STOP"});
  EXPECT_EQ(text.push(0), "end");
  EXPECT_EQ(text.push(1), "");
  EXPECT_EQ(text.finish(), "STO~");
  EXPECT_FALSE(text.stopped());
}

TEST(OutputText, TheEarliestStopStringCountsThenTheFirstOfTheList) {
  OutputText text = make({"xxbcd"}, {"cd", "bcd", "bc"});
  EXPECT_EQ(text.push(0), "xx");
  EXPECT_EQ(text.stopped(), "bcd");
}

TEST(OutputText, AStopStringInTheFlushedTailCounts) {
  OutputText text = make({"ab|cd"}, {"cd"});
  EXPECT_EQ(text.push(0), "ab");
  EXPECT_EQ(text.finish(), "");
  EXPECT_EQ(text.stopped(), "cd");
}

TEST(OutputText, EqualsASearchInTheWholeText) {
  std::mt19937 random(5);
  const std::vector<std::string> pieces = {"a", "b", "ab", "ba", "aab", "|a", "b|b", ""};
  int stoppedRuns = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    std::vector<std::string> stops;
    for (unsigned s = 0; s < 1 + random() % 3; ++s) {
      std::string stop;
      for (unsigned n = 0; n < 2 + random() % 6; ++n)
        stop += random() % 2 ? 'a' : 'b';
      stops.push_back(stop);
    }
    OutputText text = make(pieces, stops);
    PieceDecoder plain(pieces);
    std::string given, whole;
    for (int i = 0; i < 12 && !text.stopped(); ++i) {
      int32_t id = static_cast<int32_t>(random() % pieces.size());
      whole += plain.push(id);
      given += text.push(id);
      ASSERT_TRUE(whole.starts_with(given));
      size_t longest = 0;
      for (const std::string &stop : stops)
        longest = std::max(longest, stop.size());
      if (!text.stopped()) {
        ASSERT_GT(given.size() + longest, whole.size()) << "more is withheld than could be a stop string";
        for (const std::string &stop : stops)
          ASSERT_EQ(whole.find(stop), std::string::npos);
      }
    }
    if (!text.stopped())
      continue;
    ++stoppedRuns;
    size_t first = std::string::npos;
    for (const std::string &stop : stops)
      first = std::min(first, whole.find(stop));
    ASSERT_EQ(given, whole.substr(0, first));
  }
  EXPECT_GT(stoppedRuns, 1000);
}

TEST(Engine, StreamsTextAndStopsAtAStopString) {
  std::vector<std::string> pieces;
  for (int i = 0; i < 2500; ++i)
    pieces.push_back("<" + std::to_string(i) + ">");
  TextDecoderFactory factory = [&] { return std::make_unique<PieceDecoder>(pieces); };
  Request request{1, promptOf(20, 3), {}};
  request.sampling.maxTokens = 10;
  request.sampling.ignoreEnd = true;
  withEngine(fakeModel(), {.tokenBudget = 8}, 2, factory, [&](Engine &engine) {
    Outcome plain = runAll(engine, {request}).at(1);
    std::vector<int32_t> ids = idsOf(plain);
    ASSERT_EQ(ids.size(), 10u);
    std::string whole;
    for (int32_t id : ids)
      whole += "<" + std::to_string(id) + ">";
    EXPECT_EQ(plain.text, whole + "~");
    EXPECT_EQ(plain.last.stop, StopReason::MaxTokens);

    std::string end = std::to_string(ids[4]) + "><" + std::to_string(ids[5]); // across two tokens
    request.sampling.stop = {"never", end};
    Outcome stopped = runAll(engine, {request}).at(1);
    EXPECT_EQ(stopped.last.stop, StopReason::StopString);
    EXPECT_EQ(stopped.last.stopString, end);
    EXPECT_EQ(stopped.text, whole.substr(0, whole.find(end)));
    EXPECT_EQ(stopped.last.outputTokens, 6);
    EXPECT_EQ(engine.stats().freePages, engine.stats().pages);
  });
}

} // namespace
