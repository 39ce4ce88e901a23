//===- OpsTest.cpp - ops that the models of today do not use: encoders, cross attention, bias, probes ---------------===//
#include "ir/reference/Formulas.h"
#include "tests/unit/reference/Modules.h"
#include <cmath>

using namespace heddle::reference;
using namespace heddle::test;

namespace {

constexpr int64_t kHeads = 4, kKvHeads = 2, kDim = 8, kTokens = 5, kKeys = 7;

/// softmax(scale·q·kᵀ → cap → + bias)·v of one query and head over keys[…], straight from the definition.
std::vector<double> naive(const double *q, const std::vector<const double *> &k, const std::vector<const double *> &v,
                          double scale, double cap, const std::vector<double> &bias, std::vector<double> *weights = nullptr) {
  std::vector<double> p, out(kDim);
  double sum = 0;
  for (size_t t = 0; t < k.size(); ++t) {
    double s = 0;
    for (int64_t j = 0; j < kDim; ++j)
      s += scale * q[j] * k[t][j];
    if (cap > 0)
      s = cap * std::tanh(s / cap);
    if (!bias.empty())
      s += bias[t];
    p.push_back(std::exp(s));
    sum += p.back();
  }
  for (size_t t = 0; t < k.size(); ++t)
    for (int64_t j = 0; j < kDim; ++j)
      out[static_cast<size_t>(j)] += p[t] / sum * v[t][j];
  if (weights)
    for (double w : p)
      weights->push_back(w / sum);
  return out;
}

struct Inputs {
  std::vector<double> q = noise<double>(kTokens * kHeads * kDim, 1), k = noise<double>(kKeys * kKvHeads * kDim, 2),
                      v = noise<double>(kKeys * kKvHeads * kDim, 3), bias = noise<double>(kHeads * kTokens * kKeys, 4);
};

const char *kFixed = R"(
heddle.state fixed @cross layers 1 heads 4 kv_heads 2 head_dim 8
func.func @keep(%k: tensor<?x16xf32>, %v: tensor<?x16xf32>) {
  %layer = arith.constant 0 : index
  heddle.store_kv keys(%k) values(%v) state @cross layer(%layer) {kv_heads = 2 : i64, head_dim = 8 : i64} : tensor<?x16xf32>, tensor<?x16xf32>, index
  return
}
func.func @attend(%q: tensor<?x32xf32>, %bias: tensor<4x?x?xf32>) -> (tensor<?x32xf32>, tensor<?x3x?xf32>) {
  %layer = arith.constant 0 : index
  %a:2 = heddle.attention fixed query(%q) state @cross layer(%layer) bias(%bias) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 8 : i64,
      scale = 0.5 : f32, mask = #heddle<mask none>, soft_cap = 3.0 : f32, probe_heads = array<i64: 3, 0, 3>}
      : (tensor<?x32xf32>, index, tensor<4x?x?xf32>) -> (tensor<?x32xf32>, tensor<?x3x?xf32>)
  return %a#0, %a#1 : tensor<?x32xf32>, tensor<?x3x?xf32>
})";

/// Keys and values are written by one function and read by another.
template <class Real> llvm::FailureOr<std::vector<TensorPtr>> attendToFixed(Program &program, Mode mode, int32_t length = kKeys) {
  static const PackedWeights none;
  auto reference = program.reference(mode, none);
  Batch batch;
  batch.states = {{"cross", {{5}, 1, {length}}}};
  auto written = reference->call("keep",
                                 {tensor<Real>({kKeys, kKvHeads * kDim}, noise<Real>(kKeys * kKvHeads * kDim, 2)),
                                  tensor<Real>({kKeys, kKvHeads * kDim}, noise<Real>(kKeys * kKvHeads * kDim, 3))},
                                 batch);
  if (failed(written))
    return llvm::failure();
  return reference->call("attend",
                         {tensor<Real>({kTokens, kHeads * kDim}, noise<Real>(kTokens * kHeads * kDim, 1)),
                          tensor<Real>({kHeads, kTokens, kKeys}, noise<Real>(kHeads * kTokens * kKeys, 4))},
                         batch);
}

TEST(Attention, CrossAttentionWithBiasSoftCapAndProbes) {
  Program program(kFixed);
  ASSERT_TRUE(program.valid()) << program.errors();
  auto exact = attendToFixed<double>(program, Mode::exact);
  auto one = attendToFixed<float>(program, Mode::oneArithmetic);
  ASSERT_TRUE(succeeded(exact) && succeeded(one)) << program.errors();
  auto out = valuesOf<double>(*(*exact)[0]), probed = valuesOf<double>(*(*exact)[1]);
  auto outOne = valuesOf<float>(*(*one)[0]), probedOne = valuesOf<float>(*(*one)[1]);
  ASSERT_EQ(probed.size(), static_cast<size_t>(kTokens * 3 * kKeys));
  Inputs in;
  for (int64_t t = 0; t < kTokens; ++t)
    for (int64_t h = 0; h < kHeads; ++h) {
      std::vector<const double *> k, v;
      std::vector<double> bias, weights;
      for (int64_t s = 0; s < kKeys; ++s) {
        k.push_back(in.k.data() + (s * kKvHeads + h / 2) * kDim);
        v.push_back(in.v.data() + (s * kKvHeads + h / 2) * kDim);
        bias.push_back(in.bias[static_cast<size_t>((h * kTokens + t) * kKeys + s)]);
      }
      auto expected = naive(in.q.data() + (t * kHeads + h) * kDim, k, v, 0.5, 3.0, bias, &weights);
      for (int64_t j = 0; j < kDim; ++j) {
        auto i = static_cast<size_t>((t * kHeads + h) * kDim + j);
        EXPECT_NEAR(out[i], expected[static_cast<size_t>(j)], 1e-13);
        EXPECT_NEAR(static_cast<double>(outOne[i]), expected[static_cast<size_t>(j)], 3e-3); // keys and values of 11 bits
      }
      for (int64_t probe : {0, 1, 2}) {
        if ((probe == 1 ? 0 : 3) != h)
          continue;
        for (int64_t s = 0; s < kKeys; ++s) {
          auto i = static_cast<size_t>((t * 3 + probe) * kKeys + s);
          EXPECT_NEAR(probed[i], weights[static_cast<size_t>(s)], 1e-13);
          EXPECT_NEAR(static_cast<double>(probedOne[i]), weights[static_cast<size_t>(s)], 3e-3);
        }
      }
    }
}

TEST(Attention, ProbesKeepTheBitsOfTheFirstResult) {
  std::string plain = kFixed;
  auto replace = [&](const std::string &from, const std::string &to) {
    for (size_t at; (at = plain.find(from)) != std::string::npos;)
      plain.replace(at, from.size(), to);
  };
  replace(", probe_heads = array<i64: 3, 0, 3>", ""), replace("%a:2", "%a"), replace("%a#0, %a#1", "%a");
  replace("-> (tensor<?x32xf32>, tensor<?x3x?xf32>)", "-> tensor<?x32xf32>"),
      replace(": tensor<?x32xf32>, tensor<?x3x?xf32>", ": tensor<?x32xf32>");
  Program with(kFixed), without(plain);
  ASSERT_TRUE(without.valid()) << without.errors();
  auto a = attendToFixed<float>(with, Mode::oneArithmetic), b = attendToFixed<float>(without, Mode::oneArithmetic);
  ASSERT_TRUE(succeeded(a) && succeeded(b)) << with.errors() << without.errors();
  EXPECT_EQ(valuesOf<float>(*(*a)[0]), valuesOf<float>(*(*b)[0]));
}

TEST(Attention, AFixedStateIsReadAsFarAsItWasWritten) {
  Program program(kFixed);
  ASSERT_TRUE(program.valid()) << program.errors();
  EXPECT_TRUE(failed(attendToFixed<float>(program, Mode::oneArithmetic, kKeys + 1)));
  EXPECT_NE(program.errors().find("bias must be [heads × tokens × keys]"), std::string::npos) << program.errors();
  Program plain(R"(
    heddle.state fixed @cross layers 1 heads 1 kv_heads 1 head_dim 8
    func.func @step(%q: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %layer = arith.constant 0 : index
      %a = heddle.attention fixed query(%q) state @cross layer(%layer) {heads = 1 : i64, kv_heads = 1 : i64, head_dim = 8 : i64,
          scale = 0.5 : f32, mask = #heddle<mask none>} : (tensor<?x8xf32>, index) -> tensor<?x8xf32>
      return %a : tensor<?x8xf32>
    })");
  ASSERT_TRUE(plain.valid()) << plain.errors();
  PackedWeights none;
  auto reference = plain.reference(Mode::oneArithmetic, none);
  auto attend = [&](const Batch &batch) { return reference->call("step", {tensor<float>({1, 8}, noise<float>(8, 1))}, batch); };
  EXPECT_TRUE(failed(attend({})));
  Batch batch;
  batch.states = {{"cross", {{0}, 1, {}}}};
  EXPECT_TRUE(failed(attend(batch)));
  batch.states["cross"].lengths = {3};
  EXPECT_TRUE(failed(attend(batch)));
  for (const char *message :
       {"this run has no batch with a page table of @cross", "this run has no batch with the lengths of @cross",
        "reads position 0 of sequence 0, KV head 0, layer 0, which this rank never wrote"})
    EXPECT_NE(plain.errors().find(message), std::string::npos) << message << "\n" << plain.errors();
}

/// h = keep · h + input from token to token and from step to step, of each sequence by itself.
TEST(Recurrence, GoesOnFromStepToStep) {
  Program program(R"(
    heddle.state recurrent @memory layers 2 features 3
    func.func @step(%k: tensor<?x3xf32>, %x: tensor<?x3xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
      %zero = arith.constant 0 : index
      %one = arith.constant 1 : index
      %a = heddle.recurrence %k, %x state @memory layer(%zero) : (tensor<?x3xf32>, tensor<?x3xf32>, index) -> tensor<?x3xf32>
      %b = heddle.recurrence %k, %a state @memory layer(%one) : (tensor<?x3xf32>, tensor<?x3xf32>, index) -> tensor<?x3xf32>
      return %a, %b : tensor<?x3xf32>, tensor<?x3xf32>
    })");
  ASSERT_TRUE(program.valid()) << program.errors();
  PackedWeights none;
  auto check = [&]<class Real>(Real, Mode mode) {
    auto reference = program.reference(mode, none);
    std::map<int32_t, std::vector<Real>> first, second; // by row of the state
    uint64_t seed = 1;
    for (std::vector<int32_t> rows : {std::vector<int32_t>{4, 9}, {9, 4}, {7, 9}}) { // which sequence has which row, step by step
      Batch batch;
      batch.sequences = {0, 0, 1, 1, 1};
      batch.states = {{"memory", {rows, 1}}};
      auto keep = noise<Real>(15, ++seed), input = noise<Real>(15, ++seed);
      auto result = reference->call("step", {tensor<Real>({5, 3}, keep), tensor<Real>({5, 3}, input)}, batch);
      ASSERT_TRUE(succeeded(result)) << program.errors();
      auto a = valuesOf<Real>(*(*result)[0]), b = valuesOf<Real>(*(*result)[1]);
      for (size_t i = 0; i < 15; ++i) {
        auto &h = first[rows[static_cast<size_t>(batch.sequences[i / 3])]],
             &g = second[rows[static_cast<size_t>(batch.sequences[i / 3])]];
        h.resize(3), g.resize(3);
        h[i % 3] = std::fma(keep[i], h[i % 3], input[i]);
        g[i % 3] = std::fma(keep[i], g[i % 3], h[i % 3]);
        EXPECT_EQ(a[i], h[i % 3]);
        EXPECT_EQ(b[i], g[i % 3]);
      }
    }
  };
  check(0.0, Mode::exact);
  check(0.0f, Mode::oneArithmetic);
}

/// An encoder: two sequences in one batch, in any order, no cache.
TEST(Attention, BatchWithoutStateKeepsSequencesApart) {
  Program program(R"(
    func.func @attend(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>) -> tensor<?x32xf32> {
      %a = heddle.attention batch query(%q) keys(%k) values(%v) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 8 : i64,
          scale = 0.25 : f32, mask = #heddle<mask none>} : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x32xf32>
      return %a : tensor<?x32xf32>
    })");
  ASSERT_TRUE(program.valid()) << program.errors();
  std::vector<int32_t> sequences{0, 1, 1, 0, 1}, positions{1, 0, 2, 0, 1};
  auto k = noise<double>(kTokens * kKvHeads * kDim, 2), v = noise<double>(kTokens * kKvHeads * kDim, 3), q = Inputs().q;
  PackedWeights none;
  auto result =
      program.reference(Mode::exact, none)
          ->call("attend", {tensor<double>({kTokens, 32}, q), tensor<double>({kTokens, 16}, k), tensor<double>({kTokens, 16}, v)},
                 {.ids = {}, .positions = positions, .sequences = sequences, .pageTable = {}, .rows = {}});
  ASSERT_TRUE(succeeded(result)) << program.errors();
  auto out = valuesOf<double>(*(*result)[0]);
  for (size_t t = 0; t < kTokens; ++t)
    for (size_t h = 0; h < kHeads; ++h) {
      std::vector<const double *> keys, values;
      for (size_t s = 0; s < kTokens; ++s)
        if (sequences[s] == sequences[t]) {
          keys.push_back(k.data() + (s * kKvHeads + h / 2) * kDim);
          values.push_back(v.data() + (s * kKvHeads + h / 2) * kDim);
        }
      auto expected = naive(q.data() + (t * kHeads + h) * kDim, keys, values, 0.25, 0, {});
      for (size_t j = 0; j < kDim; ++j)
        EXPECT_NEAR(out[(t * kHeads + h) * kDim + j], expected[j], 1e-13);
    }
}

TEST(Attention, AWindowOfThreeSeesThreeKeys) {
  Program program(R"(
    func.func @attend(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>) -> tensor<?x32xf32> {
      %a = heddle.attention batch query(%q) keys(%k) values(%v) {heads = 4 : i64, kv_heads = 2 : i64, head_dim = 8 : i64, scale = 0.25 : f32,
          mask = #heddle<mask window>, window = 3 : i64} : (tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>) -> tensor<?x32xf32>
      return %a : tensor<?x32xf32>
    })");
  ASSERT_TRUE(program.valid()) << program.errors();
  auto k = noise<double>(kTokens * kKvHeads * kDim, 2), v = noise<double>(kTokens * kKvHeads * kDim, 3), q = Inputs().q;
  PackedWeights none;
  auto result = program.reference(Mode::exact, none)
                    ->call("attend", {tensor<double>({kTokens, 32}, q), tensor<double>({kTokens, 16}, k),
                                      tensor<double>({kTokens, 16}, v)});
  ASSERT_TRUE(succeeded(result)) << program.errors();
  auto out = valuesOf<double>(*(*result)[0]);
  for (int64_t t = 0; t < kTokens; ++t)
    for (int64_t h = 0; h < kHeads; ++h) {
      std::vector<const double *> keys, values;
      for (int64_t s = std::max<int64_t>(t - 2, 0); s <= t; ++s) {
        keys.push_back(k.data() + (s * kKvHeads + h / 2) * kDim);
        values.push_back(v.data() + (s * kKvHeads + h / 2) * kDim);
      }
      auto expected = naive(q.data() + (t * kHeads + h) * kDim, keys, values, 0.25, 0, {});
      for (int64_t j = 0; j < kDim; ++j)
        EXPECT_NEAR(out[static_cast<size_t>((t * kHeads + h) * kDim + j)], expected[static_cast<size_t>(j)], 1e-13);
    }
}

/// Scores of ±hundreds: the chunks' maxima differ wildly, and only differences to the maximum may be exponentiated.
TEST(Attention, OneArithmeticMergesChunks) {
  constexpr int64_t tokens = 200, dim = 8;
  Program program(R"(
    func.func @attend(%q: tensor<?x8xf32>, %k: tensor<?x8xf32>, %v: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %a = heddle.attention batch query(%q) keys(%k) values(%v) {heads = 1 : i64, kv_heads = 1 : i64, head_dim = 8 : i64, scale = 20.0 : f32,
          mask = #heddle<mask causal>} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
      return %a : tensor<?x8xf32>
    })");
  ASSERT_TRUE(program.valid()) << program.errors();
  PackedWeights none;
  auto arguments = [&]<class Real>(Real) -> std::vector<Tensor> {
    auto rounded = noise<Real>(tokens * dim, 2); // halves, so that the exact run sees the same keys
    for (auto &x : rounded)
      x = static_cast<Real>(fromHalf(toHalf(static_cast<float>(x))));
    return {tensor<Real>({tokens, dim}, noise<Real>(tokens * dim, 1)), tensor<Real>({tokens, dim}, rounded),
            tensor<Real>({tokens, dim}, rounded)};
  };
  auto exact = program.reference(Mode::exact, none)->call("attend", arguments(0.0));
  auto one = program.reference(Mode::oneArithmetic, none)->call("attend", arguments(0.0f));
  ASSERT_TRUE(succeeded(exact) && succeeded(one)) << program.errors();
  auto a = valuesOf<double>(*(*exact)[0]);
  auto b = valuesOf<float>(*(*one)[0]);
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(static_cast<double>(b[i]), a[i], 2e-4); // scores of 500 carry errors of 500 · 2^-24 · 8
}

TEST(Norm, GroupsAndResidual) {
  Program program(R"(
    heddle.weight @w : tensor<8xf32>
    func.func @norm(%x: tensor<?x24xf32>, %r: tensor<?x24xf32>) -> tensor<?x24xf32> {
      %w = heddle.get @w : tensor<8xf32>
      %y = heddle.rms_norm %x, %w eps 1.0e-6 residual(%r) {groups = 3 : i64} : (tensor<?x24xf32>, tensor<8xf32>, tensor<?x24xf32>) -> tensor<?x24xf32>
      return %y : tensor<?x24xf32>
    })");
  ASSERT_TRUE(program.valid()) << program.errors();
  auto w = noise<double>(8, 9), x = noise<double>(48, 10), r = noise<double>(48, 11);
  PackedWeights weights;
  weights.add("w", floatWeight(noise<float>(8, 9), 1));
  auto result = program.reference(Mode::exact, weights)->call("norm", {tensor<double>({2, 24}, x), tensor<double>({2, 24}, r)});
  ASSERT_TRUE(succeeded(result)) << program.errors();
  auto y = valuesOf<double>(*(*result)[0]);
  for (size_t i = 0; i < 48; ++i) {
    double squares = 0;
    for (size_t j = i / 8 * 8; j < i / 8 * 8 + 8; ++j)
      squares += x[j] * x[j];
    EXPECT_NEAR(y[i], r[i] + x[i] / std::sqrt(squares / 8 + static_cast<double>(1.0e-6f)) * w[i % 8], 1e-12);
  }
}

TEST(Linear, GateAndResidualOfFloatWeights) {
  Program program(R"(
    heddle.weight @g : tensor<3x4xf32>
    heddle.weight @u : tensor<3x4xbf16>
    func.func @ffn(%x: tensor<?x4xf32>, %r: tensor<?x3xf32>) -> tensor<?x3xf32> {
      %g = heddle.get @g : tensor<3x4xf32>
      %u = heddle.get @u : tensor<3x4xbf16>
      %y = heddle.linear %x weights(%g, %u) gate gelu_tanh residual(%r) : (tensor<?x4xf32>, tensor<3x4xf32>, tensor<3x4xbf16>, tensor<?x3xf32>) -> tensor<?x3xf32>
      return %y : tensor<?x3xf32>
    })");
  ASSERT_TRUE(program.valid()) << program.errors();
  PackedWeights weights;
  weights.add("g", randomWeight(heddle::Format::F32, 3, 4, 1));
  weights.add("u", randomWeight(heddle::Format::BF16, 3, 4, 2));
  auto x = noise<double>(8, 3), r = noise<double>(6, 4);
  auto exact = program.reference(Mode::exact, weights)->call("ffn", {tensor<double>({2, 4}, x), tensor<double>({2, 3}, r)});
  auto one = program.reference(Mode::oneArithmetic, weights)
                 ->call("ffn", {tensor<float>({2, 4}, noise<float>(8, 3)), tensor<float>({2, 3}, noise<float>(6, 4))});
  ASSERT_TRUE(succeeded(exact) && succeeded(one)) << program.errors();
  auto y = valuesOf<double>(*(*exact)[0]);
  auto yOne = valuesOf<float>(*(*one)[0]);
  for (size_t t = 0; t < 2; ++t)
    for (size_t n = 0; n < 3; ++n) {
      double row[4], sums[2] = {};
      for (int which : {0, 1}) {
        weights.exactRow(which ? "u" : "g", static_cast<int64_t>(n), row);
        for (size_t k = 0; k < 4; ++k)
          sums[which] += row[k] * x[t * 4 + k];
      }
      double g = sums[0], gelu = 0.5 * g * (1 + std::tanh(std::sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)));
      EXPECT_NEAR(y[t * 3 + n], r[t * 3 + n] + gelu * sums[1], 1e-12);
      EXPECT_NEAR(static_cast<double>(yOne[t * 3 + n]), y[t * 3 + n], 1e-6);
    }
}

} // namespace
