#include "runtime/engine/Engine.h"
#include <cmath>
#include <functional>
#include <gtest/gtest.h>

using namespace heddle;

namespace {

using Change = std::function<void(SamplingParams &)>;

TEST(SamplingParams, DefaultsAndLimitsAreGood) {
  const Change good[] = {
      [](auto &) {},
      [](auto &p) { p.temperature = 10; },
      [](auto &p) { p.temperature = 1e-6; },
      [](auto &p) { p.topK = 1 << 30; },
      [](auto &p) { p.topP = 1e-9; },
      [](auto &p) { p.minP = 1; },
      [](auto &p) { p.repeatPenalty = 0.1; },
      [](auto &p) { p.logprobs = 20; },
      [](auto &p) { p.maxTokens = 1; },
      [](auto &p) { p.stop.assign(16, std::string(256, 'x')); },
      [](auto &p) { p.stop = {"日本", "é", "🙂"}; },
  };
  for (size_t i = 0; i < std::size(good); ++i) {
    SamplingParams params;
    good[i](params);
    auto error = validate(params);
    EXPECT_FALSE(error) << i << ": " << (error ? error->message : "");
  }
}

TEST(SamplingParams, TheFieldOutOfRangeIsNamed) {
  const struct {
    Change change;
    const char *field, *message;
  } bad[] = {
      {[](auto &p) { p.temperature = -1; }, "temperature", "temperature must be in [0, 10], not -1"},
      {[](auto &p) { p.temperature = NAN; }, "temperature", "temperature must be in [0, 10], not nan"},
      {[](auto &p) { p.temperature = INFINITY; }, "temperature", "temperature must be in [0, 10], not inf"},
      {[](auto &p) { p.topK = -3; }, "top_k", "top_k must be at least 0, not -3"},
      {[](auto &p) { p.topP = 1.5; }, "top_p", "top_p must be in (0, 1], not 1.5"},
      {[](auto &p) { p.topP = 0; }, "top_p", "top_p must be in (0, 1], not 0"},
      {[](auto &p) { p.topP = NAN; }, "top_p", "top_p must be in (0, 1], not nan"},
      {[](auto &p) { p.minP = 1.01; }, "min_p", "min_p must be in [0, 1], not 1.01"},
      {[](auto &p) { p.repeatPenalty = 0; }, "repeat_penalty", "repeat_penalty must be in [0.1, 10], not 0"},
      {[](auto &p) { p.logprobs = 21; }, "logprobs", "logprobs must be in [0, 20], not 21"},
      {[](auto &p) { p.maxTokens = 0; }, "max_tokens", "max_tokens must be at least 1, not 0"},
      {[](auto &p) { p.stop.assign(17, "x"); }, "stop", "stop must have at most 16 texts, not 17"},
      {[](auto &p) { p.stop = {""}; }, "stop", "stop texts must have 1 to 256 bytes, not 0"},
      {[](auto &p) { p.stop = {std::string(257, 'x')}; }, "stop", "stop texts must have 1 to 256 bytes, not 257"},
      {[](auto &p) { p.stop = {"ok", "\xff"}; }, "stop", "stop texts must be valid UTF-8"},
      {[](auto &p) { p.stop = {"\xe6\x97"}; }, "stop", "stop texts must be valid UTF-8"},         // cut off
      {[](auto &p) { p.stop = {"\xc0\xaf"}; }, "stop", "stop texts must be valid UTF-8"},         // overlong
      {[](auto &p) { p.stop = {"\xed\xa0\x80"}; }, "stop", "stop texts must be valid UTF-8"},     // surrogate
      {[](auto &p) { p.stop = {"\xf4\x90\x80\x80"}; }, "stop", "stop texts must be valid UTF-8"}, // past U+10FFFF
  };
  for (const auto &[change, field, message] : bad) {
    SamplingParams params;
    change(params);
    auto error = validate(params);
    ASSERT_TRUE(error) << message;
    EXPECT_EQ(error->field, field);
    EXPECT_EQ(error->message, message);
  }
}

} // namespace
