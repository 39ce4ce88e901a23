//===- ParityTest.cpp - compiled code against the reference interpreter, bit for bit ----------------------------------===//
//
// Every tiny configuration: the interpreter's reading of stage `fused` is the truth; stage `sharded` on several ranks and
// compiled code in every target's tiling, on any ranks, threads and chunks, must give the same bits. Tilings whose instructions
// this host lacks are lowered to the oldest target's, so that every machine runs them all.
//===---------------------------------------------------------------------------------------------------------------===//
#include "runtime/plan/Targets.h"
#include "tests/parity/steps/Compiled.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace heddle;
using namespace heddle::test;

namespace {

struct Case {
  std::string name;
  TinyConfig config;
  double exactBound; // of |fused − exact| over the logits' standard deviation: what q8 and f16 cost this shape and format
  KvType kvType = KvType::F16;
  float softCap = 0; // none
};

void PrintTo(const Case &test, std::ostream *out) { *out << test.name; }

TinyConfig config(int64_t width, int64_t heads, int64_t kvHeads, int64_t headDim, int64_t feedForward, Format format) {
  TinyConfig c;
  c.width = width, c.heads = heads, c.kvHeads = kvHeads, c.headDim = headDim, c.feedForward = feedForward, c.weights = format;
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  // Exact activations: only f16 keys and values and f32 rounding differ from mathematics.
  all.push_back({"f32", config(64, 4, 2, 16, 96, Format::F32), 0.01});
  all.push_back({"bf16", config(64, 2, 1, 32, 80, Format::BF16), 0.01});
  all.push_back({"f16_seven_heads", config(112, 7, 7, 16, 104, Format::F16), 0.01});
  // Quantised activations: each block of 32 is rounded to 1/254 of its largest.
  all.push_back({"q4_0_heads_of_80", config(160, 4, 2, 80, 96, Format::Q4_0), 0.15});
  all.push_back({"q4_1", config(64, 2, 1, 32, 96, Format::Q4_1), 0.15});
  all.push_back({"q5_0", config(64, 2, 1, 32, 96, Format::Q5_0), 0.15});
  all.push_back({"q5_1_five_heads", config(160, 5, 1, 32, 96, Format::Q5_1), 0.15});
  all.push_back({"q8_0", config(64, 4, 4, 16, 96, Format::Q8_0), 0.15});
  all.push_back({"q4_k", config(256, 4, 2, 64, 256, Format::Q4_K), 0.15});
  all.push_back({"q5_k", config(256, 4, 2, 64, 256, Format::Q5_K), 0.15});
  all.push_back({"q6_k", config(256, 4, 2, 64, 256, Format::Q6_K), 0.15});
  all.push_back({"mxfp4", config(64, 2, 1, 32, 96, Format::MXFP4), 0.15});
  Case mixed{"mixed_formats", config(256, 4, 2, 64, 256, Format::Q4_K), 0.15};
  mixed.config.formats = {
      {"attn_v", Format::Q6_K}, {"attn_k", Format::F16}, {"ffn_down", Format::Q8_0}, {"token_embd", Format::Q5_0}};
  mixed.config.tiedHead = true;
  mixed.config.vocabulary = 2100; // more than two vocabulary units of 1,024, the last one short
  all.push_back(mixed);
  Case floatGate{"float_gate_requantised", config(64, 4, 2, 16, 96, Format::Q8_0), 0.15};
  floatGate.config.formats = {{"ffn_gate", Format::F16}, {"ffn_up", Format::BF16}};
  all.push_back(floatGate);
  Case scaled{"rope_factors", config(64, 2, 1, 32, 96, Format::F32), 0.01};
  scaled.config.ropeFactors = std::vector<float>(16, 4.0f);
  all.push_back(scaled);
  // The tables of a context that is longer than the original one, as every text here is, and of one that is not.
  scaled.name = "long_rope", scaled.config.longFactors = std::vector<float>(16, 3.0f), scaled.config.ropeFactors.assign(16, 1.5f);
  scaled.config.ropeOriginal = 60, scaled.config.ropeMagnitude = 1.19;
  all.push_back(scaled);
  scaled.name = "short_rope", scaled.config.ropeOriginal = 1024;
  all.push_back(scaled);
  Case yarn{"yarn", config(64, 2, 1, 32, 96, Format::Q8_0), 0.15};
  yarn.config.yarnFactor = 8, yarn.config.ropeOriginal = 40;
  all.push_back(yarn);
  // Scales in the epilogues: of floats and of quantised products, of one rank's share and of an output head.
  Case granite{"granite", config(64, 4, 2, 16, 96, Format::F32), 0.01};
  granite.config.architecture = "granite";
  granite.config.embeddingScale = 12, granite.config.residualScale = 0.22, granite.config.logitScale = 6;
  all.push_back(granite);
  granite.name = "granite_q4_0", granite.config.weights = Format::Q4_0, granite.exactBound = 0.15;
  granite.config.headDim = 32;
  all.push_back(granite);
  Case gemma{"gemma3", config(64, 4, 1, 32, 96, Format::Q8_0), 0.15};
  gemma.config.architecture = "gemma3";
  gemma.config.layers = 7; // the sixth layer sees everything
  gemma.config.window = 40;
  all.push_back(gemma);
  gemma.name = "gemma3_heads_of_80"; // halves of 40: no whole vectors
  gemma.config.headDim = 80, gemma.config.layers = 1;
  all.push_back(gemma);
  all.push_back({"feed_forward_of_41", config(64, 4, 2, 16, 41, Format::F32), 0.01});
  Case biases{"biases", config(64, 4, 2, 16, 41, Format::F32), 0.01}; // 41: the last vector of a bias is part full
  biases.config.biases = true;
  all.push_back(biases);
  biases.name = "biases_requantised", biases.exactBound = 0.15;
  biases.config.weights = Format::Q4_0, biases.config.feedForward = 96;
  all.push_back(biases);
  biases.name = "biases_of_some_formats"; // q and v stay apart from k, gate and up from each other
  biases.config.formats = {{"attn_k", Format::F16}, {"ffn_gate", Format::BF16}};
  all.push_back(biases);
  // Learned positions, layer norms, an activation between two products, parts of a tensor.
  Case gpt2{"gpt2", config(64, 4, 4, 16, 104, Format::F32), 0.01};
  gpt2.config.architecture = "gpt2", gpt2.config.context = 256;
  all.push_back(gpt2);
  gpt2.name = "gpt2_quantised", gpt2.exactBound = 0.15;
  gpt2.config.feedForward = 96, gpt2.config.weights = Format::Q8_0, gpt2.config.formats = {{"position_embd", Format::F16}};
  all.push_back(gpt2);
  // Experts: of floats, of quantised formats, a row group each, more choices than a vector has lanes, every one of them.
  Case experts{"experts", config(64, 4, 2, 16, 48, Format::F32), 0.01};
  experts.config.experts = 5;
  all.push_back(experts);
  experts.name = "experts_requantised", experts.exactBound = 0.3; // a token may choose others
  experts.config.weights = Format::Q4_0, experts.config.feedForward = 96;
  experts.config.formats = {{"ffn_gate_inp", Format::F32}, {"ffn_up_exps", Format::Q8_0}, {"ffn_down_exps", Format::Q5_0}};
  all.push_back(experts);
  experts.name = "twenty_of_forty_experts";
  experts.config.experts = 40, experts.config.chosen = 20, experts.config.feedForward = 32, experts.config.layers = 1;
  experts.config.formats = {{"ffn_gate_inp", Format::F32}};
  all.push_back(experts);
  experts.name = "all_of_three_experts", experts.config.experts = experts.config.chosen = 3;
  all.push_back(experts);
  // Sinks, biases of experts, a gate of its own, a window in every other layer.
  Case oss{"gpt_oss", config(64, 4, 2, 16, 48, Format::F32), 0.01};
  oss.config.architecture = "gpt-oss", oss.config.experts = 4, oss.config.window = 40;
  all.push_back(oss);
  oss.name = "gpt_oss_mxfp4", oss.exactBound = 0.3;
  oss.config.headDim = 32, oss.config.feedForward = 96, oss.config.weights = Format::BF16;
  oss.config.formats = {{"ffn_gate_exps", Format::MXFP4}, {"ffn_up_exps", Format::MXFP4}, {"ffn_down_exps", Format::MXFP4}};
  all.push_back(oss);
  oss.name = "gpt_oss_eight_heads_8_bit_cache", oss.kvType = KvType::Q8;
  oss.config.heads = 8, oss.config.kvHeads = 1;
  all.push_back(oss);
  // Attention tiles of other heights: of few tokens, the query heads of a KV head make up one.
  all.push_back({"eight_heads_of_48_8_bit_cache", config(64, 8, 1, 48, 96, Format::F32), 0.05, KvType::Q8});
  all.push_back({"seven_heads_of_112", config(64, 7, 1, 112, 96, Format::F32), 0.01});
  // A KV head served by several tiles: two of five, three of three, or of a prime fours and single ones; of a
  // part of the group, as a rank has it, what is left over goes by single ones too.
  all.push_back({"ten_heads", config(64, 10, 1, 64, 96, Format::Q8_0), 0.15});
  all.push_back({"eleven_heads_of_32", config(64, 11, 1, 32, 96, Format::F32), 0.01});
  all.push_back({"nine_heads_8_bit_cache", config(64, 9, 1, 64, 96, Format::Q8_0), 0.15, KvType::Q8});
  // The files that these tests write say nothing of a soft cap; the graph is given one.
  all.push_back({"soft_cap", config(64, 4, 2, 32, 96, Format::F32), 0.01, KvType::F16, 0.5f});
  Case six{"six_heads_window", config(64, 12, 2, 32, 96, Format::Q8_0), 0.15};
  six.config.architecture = "gemma3", six.config.layers = 2, six.config.window = 40;
  all.push_back(six);
  gemma.config.headDim = 32, gemma.config.layers = 7;
  gemma.name = "gemma3_8_bit_cache", gemma.kvType = KvType::Q8;
  all.push_back(gemma);
  Case cache{"f32_8_bit_cache", config(160, 6, 2, 80, 96, Format::F32), 0.05, KvType::Q8};
  all.push_back(cache);
  return all;
}

std::vector<int32_t> tokens(int64_t count, int64_t vocabulary) {
  std::vector<int32_t> list;
  uint32_t state = 12345;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    list.push_back(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(vocabulary)));
  }
  return list;
}

/// Equal as bits; says where the first difference is.
testing::AssertionResult sameBits(const Logits &a, const Logits &b) {
  if (a.size() != b.size())
    return testing::AssertionFailure() << a.size() << " logits against " << b.size();
  for (size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(float)))
      return testing::AssertionFailure() << "logit " << i << ": " << a[i] << " against " << b[i];
  return testing::AssertionSuccess();
}

/// Equal tokens, and the bits of all their logprobs.
testing::AssertionResult sameAnswer(const std::vector<TokenResult> &a, const std::vector<TokenResult> &b) {
  Logits bits[2];
  for (auto [answer, into] : {std::pair(&a, &bits[0]), {&b, &bits[1]}})
    for (const TokenResult &token : *answer) {
      into->insert(into->end(), {static_cast<float>(token.token), token.logprob});
      for (const Alternative &other : token.best)
        into->insert(into->end(), {static_cast<float>(other.token), other.logprob});
    }
  if (bits[1].empty())
    return testing::AssertionFailure() << "no tokens";
  return sameBits(bits[0], bits[1]);
}

constexpr int64_t kSmallCache = 8 << 10; // products of more than 64 rows take several blocks of them

class Parity : public testing::TestWithParam<Case> {};

TEST_P(Parity, CompiledStepEqualsTheInterpreter) {
  const Case &test = GetParam();
  CompiledModel model(test.config, test.kvType, test.softCap);
  std::vector<int32_t> ids = tokens(150, test.config.vocabulary); // three chunks of keys, the last one part full
  const Logits truth = interpret(model, "fused", ids);
  ASSERT_TRUE(std::ranges::all_of(truth, [](float x) { return std::isfinite(x); }));
  for (int ranks : {1, 2, 3, 7})
    EXPECT_TRUE(sameBits(interpret(model, "sharded", ids, ranks), truth)) << "stage sharded, ranks " << ranks;

  std::vector<std::string> host = hostTargets();
  for (const char *tiling : kTargets) {
    bool native = std::ranges::find(host, tiling) != host.end();
    std::filesystem::path plan = model.plan(native ? tiling : "x86-64-v3", tiling, kSmallCache);
    for (Schedule s : {Schedule{1, 1, 512}, {1, 2, 1}, {1, 3, 7}, {2, 1, 64}, {3, 2, 512}, {5, 1, 31}, {11, 1, 512}})
      EXPECT_TRUE(sameBits(run(plan, ids, s), truth))
          << tiling << ", ranks " << s.ranks << ", threads " << s.threads << ", chunk " << s.chunk;
  }
}

/// More requests than kSplitTokens: steps that mix prompts with single tokens, and steps of single tokens alone. What one request
/// gets by itself is held against the interpreter above.
TEST_P(Parity, ManyRequestsGetWhatTheyGetAlone) {
  const Case &test = GetParam();
  CompiledModel model(test.config, test.kvType, test.softCap);
  std::vector<std::vector<int32_t>> prompts;
  for (int64_t i = 0; i < kSplitTokens + 8; ++i)
    prompts.push_back(tokens(i % 5 ? 1 + i % 3 : 60 + i, test.config.vocabulary));
  std::vector<std::string> host = hostTargets();
  for (const char *tiling : {"x86-64-v3", "x86-64-v4"}) {
    bool native = std::ranges::find(host, tiling) != host.end();
    std::filesystem::path plan = model.plan(native ? tiling : "x86-64-v3", tiling);
    auto alone = answers(plan, prompts, 4, {1, 1}, false);
    for (Schedule s : {Schedule{1, 2}, {3, 1}}) {
      auto together = answers(plan, prompts, 4, s, true);
      for (size_t i = 0; i < prompts.size(); ++i)
        EXPECT_TRUE(sameAnswer(together[i], alone[i])) << tiling << ", ranks " << s.ranks << ", request " << i;
    }
  }
}

TEST_P(Parity, FusionStaysCloseToExactMathematics) {
  const Case &test = GetParam();
  CompiledModel model(test.config, test.kvType, test.softCap);
  std::vector<int32_t> ids = tokens(70, test.config.vocabulary);
  const Logits fused = interpret(model, "fused", ids);
  const std::vector<double> exact = interpretExactly(model, ids);
  ASSERT_EQ(fused.size(), exact.size());
  double squares = 0, error = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    squares += exact[i] * exact[i];
    error += (fused[i] - exact[i]) * (fused[i] - exact[i]);
  }
  double relative = std::sqrt(error / squares);
  EXPECT_LT(relative, test.exactBound);
  EXPECT_GT(relative, 0) << "stage fused rounds: no difference at all means that one was compared with itself";
}

INSTANTIATE_TEST_SUITE_P(Tiny, Parity, testing::ValuesIn(cases()), [](const auto &info) { return info.param.name; });

/// Tiles and instructions are chosen apart: any tiling runs on the instructions of any target that this host has.
TEST(Tilings, EveryTilingLowersToEveryTarget) {
  Case test = cases()[12];
  CompiledModel model(test.config, test.kvType, test.softCap);
  std::vector<int32_t> ids = tokens(100, test.config.vocabulary);
  const Logits truth = interpret(model, "fused", ids);
  for (const std::string &target : hostTargets())
    for (const char *tiling : kTargets)
      EXPECT_TRUE(sameBits(run(model.plan(target, tiling), ids, {2, 1, 64}), truth)) << tiling << " for " << target;
}

/// The same on every machine that runs the tests, AVX2 or AVX-512. A change of the arithmetic changes it, and must say so here.
TEST(Hash, LogitsOfATinyModelAreTheCommittedOnes) {
  Case test = cases()[12];
  ASSERT_EQ(test.name, "mixed_formats");
  CompiledModel model(test.config, test.kvType, test.softCap);
  Logits logits = run(model.plan("", ""), tokens(150, test.config.vocabulary), {2, 2, 64});
  EXPECT_EQ(hashOf(logits), "0cab7f78df15130c2ee37f80f61933aa39b5ec99ecde08dc72259410953da8fb");
}

} // namespace
