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
  explicit PieceDecoder(std::vector<std::string> pieces, std::vector<std::string> hidden = {})
      : pieces_(std::move(pieces)), hidden_(std::move(hidden)) {}
  std::string push(int32_t id) override {
    std::string text = held_ + pieces_[id % pieces_.size()];
    size_t bar = text.find('|');
    held_ = bar == std::string::npos ? "" : text.substr(bar + 1);
    return text.substr(0, bar);
  }
  std::string flush() override { return std::exchange(held_, "") + "~"; }
  std::string hidden(int32_t id) override { return size_t(id) < hidden_.size() ? hidden_[size_t(id)] : ""; }

private:
  std::vector<std::string> pieces_, hidden_; // hidden_: texts of tokens that are never printed
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

TEST(OutputText, TheStopStringThatIsWholeFirstCountsThenTheLongestThenTheFirstOfTheList) {
  OutputText first = make({"xxbcd"}, {"cd", "bcd", "bc"});
  EXPECT_EQ(first.push(0), "xx");
  EXPECT_EQ(first.stopped(), "bc");
  OutputText longest = make({"xxbcd"}, {"d", "cd", "bcd"});
  EXPECT_EQ(longest.push(0), "xx");
  EXPECT_EQ(longest.stopped(), "bcd");
}

/// What a decoder's pieces give with `stops`: the text and the stop string.
std::pair<std::string, std::string> outcomeOf(std::vector<std::string> pieces, const std::vector<std::string> &stops,
                                              std::vector<std::string> hidden = {}) {
  const size_t count = pieces.size();
  OutputText text(std::make_unique<PieceDecoder>(std::move(pieces), std::move(hidden)), stops);
  std::string given;
  for (size_t i = 0; i < count; ++i)
    given += text.push(static_cast<int32_t>(i));
  given += text.finish();
  return {given, text.stopped().value_or("")};
}

TEST(OutputText, TheCutIntoTokensChangesNothing) {
  const std::vector<std::vector<std::string>> lists = {{"b", "abc"},       {"abc", "b"},   {"bc", "abcd"}, {"c", "abc", "bc"},
                                                       {"aab", "ab", "b"}, {"bca", "cab"}, {"é", "bé"}};
  for (const std::string whole : {"xabcabcd", "aabab", "abca", "xbéa", "cabca"})
    for (const std::vector<std::string> &stops : lists) {
      const auto expected = outcomeOf({whole}, stops);
      std::vector<size_t> starts; // of characters
      for (size_t i = 1; i < whole.size(); ++i)
        if ((whole[i] & 0xC0) != 0x80)
          starts.push_back(i);
      for (unsigned cuts = 0; cuts < 1u << starts.size(); ++cuts) {
        std::vector<std::string> pieces(1);
        for (size_t i = 0, next = 0; i < whole.size(); ++i) {
          if (next < starts.size() && starts[next] == i && (cuts >> next++ & 1))
            pieces.emplace_back();
          pieces.back() += whole[i];
        }
        ASSERT_EQ(outcomeOf(pieces, stops), expected) << whole << " " << stops[0] << " cut " << cuts;
      }
    }
}

TEST(OutputText, AHiddenTokenStopsByItsText) {
  using Result = std::pair<std::string, std::string>;
  const std::vector<std::string> pieces = {"Hi", "", "X"}, hidden = {"", "<|tool|>", ""};
  EXPECT_EQ(outcomeOf(pieces, {"<|tool|>"}, hidden), Result("Hi", "<|tool|>"));
  EXPECT_EQ(outcomeOf(pieces, {"i<|tool|>X"}, hidden), Result("H", "i<|tool|>X")); // among other text
  EXPECT_EQ(outcomeOf(pieces, {"tool"}, hidden), Result("Hi", "tool"));
  EXPECT_EQ(outcomeOf(pieces, {"iX"}, hidden), Result("H", "iX")); // what is given out counts too
  EXPECT_EQ(outcomeOf(pieces, {"<|other|>", "i<|tool|>Y"}, hidden), Result("HiX~", ""));
  OutputText end(std::make_unique<PieceDecoder>(pieces, hidden), {"<|tool|>"});
  EXPECT_EQ(end.push(0), "Hi");
  EXPECT_EQ(end.pushEnd(1), "");
  EXPECT_EQ(end.stopped(), "<|tool|>");
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
    size_t end = std::string::npos, first = std::string::npos; // of the stop string that is whole first, the longest
    for (const std::string &stop : stops)
      if (const size_t at = whole.find(stop); at != std::string::npos)
        end = std::min(end, at + stop.size());
    for (const std::string &stop : stops)
      if (const size_t at = whole.find(stop); at != std::string::npos && at + stop.size() == end)
        first = std::min(first, at);
    ASSERT_EQ(given, whole.substr(0, first));
  }
  EXPECT_GT(stoppedRuns, 1000);
}

/// Fails at a token, or at the end of a text.
class FailingDecoder : public TextDecoder {
public:
  explicit FailingDecoder(int64_t tokens) : tokens_(tokens) {}
  std::string push(int32_t id) override {
    if (tokens_-- == 0)
      throw std::runtime_error("the decoder is broken");
    return "a";
  }
  std::string flush() override {
    if (tokens_ < 100)
      throw std::runtime_error("the decoder is broken");
    return "";
  }

private:
  int64_t tokens_;
};

TEST(Engine, TextThatCannotBeMadeEndsItsRequestAlone) {
  int64_t made = 0;
  const TextDecoderFactory factory = [&]() -> std::unique_ptr<TextDecoder> {
    const int64_t fails[] = {2, 50, 1000}; // at the third token, at the end, never
    return std::make_unique<FailingDecoder>(fails[made++ % 3]);
  };
  std::vector<Request> requests;
  for (uint64_t id = 1; id <= 3; ++id) {
    requests.push_back({id, promptOf(20, id), {}});
    requests.back().sampling.maxTokens = 10;
    requests.back().sampling.ignoreEnd = true;
  }
  withEngine(fakeModel(), {.tokenBudget = 8}, 2, factory, [&](Engine &engine) {
    std::map<uint64_t, Outcome> outcomes = runAll(engine, requests);
    for (const uint64_t id : {1, 2}) {
      EXPECT_EQ(outcomes.at(id).last.stop, StopReason::Error);
      EXPECT_NE(outcomes.at(id).last.error.find("the decoder is broken"), std::string::npos);
    }
    EXPECT_EQ(outcomes.at(1).last.outputTokens, 3);
    EXPECT_EQ(outcomes.at(3).last.stop, StopReason::MaxTokens);
    EXPECT_EQ(outcomes.at(3).text, "aaaaaaaaaa");
    EXPECT_EQ(engine.stats().freePages, engine.stats().pages);
    made = 1;
    engine.submit(requests[1]); // fails at its end, also when that is the client's leaving
    engine.step();
    engine.cancel(2);
    EXPECT_EQ(engine.step().back().request, 2u);
    EXPECT_TRUE(engine.idle());
  });
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
