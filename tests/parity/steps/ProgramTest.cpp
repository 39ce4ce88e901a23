//===- ProgramTest.cpp - a program of three entries over states of every kind -----------------------------------------===//
//
// `encode` lets every token of a text see every other (a transient state) and writes a fixed state; `step` continues another text
// with a paged state, cross attention to the fixed one and a recurrent one; `pool` gives a row for each token and for each wanted
// one, and keeps nothing. The interpreter's reading of stage `fused` is the truth: stage `sharded` on several ranks and compiled
// code, on any ranks, threads, targets, chunks and neighbours in the batch, must give the same bits.
//===---------------------------------------------------------------------------------------------------------------===//
#include "tests/support/Program.h"
#include "runtime/plan/Targets.h"
#include "tests/parity/steps/Compiled.h"
#include "tests/support/PackedWeights.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <thread>

using namespace heddle;
using namespace heddle::test;

namespace {

constexpr int64_t kWidth = 64, kHeads = 4, kKvHeads = 2, kHeadDim = 32, kLayers = 2, kVocabulary = 300;

/// Features of the recurrent state: with floats its last unit is short.
int64_t feedForward(Format format) { return format == Format::F32 ? 88 : 96; }

TinyConfig config(Format format) {
  TinyConfig c;
  c.feedForward = feedForward(format);
  c.width = kWidth, c.heads = kHeads, c.kvHeads = kKvHeads, c.headDim = kHeadDim, c.layers = kLayers, c.vocabulary = kVocabulary;
  c.weights = format;
  return c;
}

std::string rows(int64_t features) { return "tensor<?x" + std::to_string(features) + "xf32>"; }

/// The program's text at stage graph, in words of one line an op.
class Text {
public:
  explicit Text(Format format)
      : element_(format == Format::F32 ? "f32" : "!heddle.quant<q4_0>"),
        cache_(format == Format::F32 ? "" : " {type = #heddle<cache_type q8>}"), features_(feedForward(format)) {}

  std::string program() {
    const std::string q = rows(kHeads * kHeadDim), kv = rows(kKvHeads * kHeadDim), x = rows(kWidth), m = rows(features_);
    const std::string heads = "heads = 4 : i64, kv_heads = 2 : i64, head_dim = 32 : i64, scale = 0.17 : f32, ";
    // Blocks: an encoder's, with RoPE; a decoder's, which looks at its own past, at the encoder's states and into its memory.
    std::string block = ") -> " + x + " {\n" + norm("%h", "%x") + linear("%q0", "%h", "%wq", 64, 128) +
                        linear("%k0", "%h", "%wk", 64, 64) + linear("%v", "%h", "%wv", 64, 64) +
                        "    %q = heddle.rope neox %q0 table @rope heads 4 : (" + q + ") -> " + q + "\n" +
                        "    %k = heddle.rope neox %k0 table @rope heads 2 : (" + kv + ") -> " + kv + "\n";
    auto attention = [&](const std::string &mask) {
      return "{" + heads + "mask = #heddle<mask " + mask + ">} : (" + q + ", " + kv + ", " + kv;
    };
    std::string encoder = "  func.func private @encoder_block(%x: " + x + ", " + weightsOfBlock() + block +
                          "    %a = heddle.attention batch query(%q) keys(%k) values(%v) " + attention("none") + ") -> " + q +
                          "\n" + linear("%o", "%a", "%wo", 128, 64) + add("%y", "%x", "%o") + "    return %y : " + x + "\n  }\n";
    std::string decoder =
        "  func.func private @decoder_block(%x: " + x + ", %layer: index, " + weightsOfBlock() + weightsOfMemory() + block +
        "    %a = heddle.attention batch query(%q) keys(%k) values(%v) state @kv layer(%layer) " + attention("causal") +
        ", index) -> " + q + "\n" + linear("%o", "%a", "%wo", 128, 64) + add("%x1", "%x", "%o") + norm("%h1", "%x1") +
        linear("%q1", "%h1", "%wq", 64, 128) + "    %c = heddle.attention fixed query(%q1) state @cross layer(%layer) {" + heads +
        "mask = #heddle<mask none>} : (" + q + ", index) -> " + q + "\n" + linear("%o1", "%c", "%wo", 128, 64) +
        add("%x2", "%x1", "%o1") + norm("%h2", "%x2") + linear("%gate", "%h2", "%wg", 64, features_) +
        "    %keep = heddle.scale %gate by 0.1 : (" + m + ") -> " + m + "\n" + linear("%in", "%h2", "%wu", 64, features_) +
        "    %m = heddle.recurrence %keep, %in state @memory layer(%layer) : (" + m + ", " + m + ", index) -> " + m + "\n" +
        linear("%d", "%m", "%wd", features_, 64) + add("%y", "%x2", "%d") + "    return %y : " + x + "\n  }\n";
    std::string encode = "  func.func @encode() {\n" + embed() + calls("encoder_block", false);
    for (int64_t l = 0; l < kLayers; ++l) {
      const std::string n = std::to_string(l), k = "%ck" + n, v = "%cv" + n;
      encode += linear(k, "%x" + std::to_string(kLayers), "%k" + n, 64, 64) +
                linear(v, "%x" + std::to_string(kLayers), "%v" + n, 64, 64) + "    heddle.store_kv keys(" + k + ") values(" + v +
                ") state @cross layer(%l" + n + ") {kv_heads = 2 : i64, head_dim = 32 : i64} : " + kv + ", " + kv + ", index\n";
    }
    encode += "    return\n  }\n";
    const std::string wanted = "    %rows = heddle.batch wanted : tensor<?xi32>\n    %s = heddle.select_rows %x2, %rows : (" + x +
                               ", tensor<?xi32>) -> " + x + "\n";
    // Of each sequence come also the mean, of length 1, and the last token.
    std::string pool =
        "  func.func @pool() -> (" + x + ", " + x + ", " + x + ", " + x + ") {\n" + embed() + calls("encoder_block", false) +
        wanted + "    %first = heddle.batch first : tensor<?xi32>\n    %last = heddle.batch last : tensor<?xi32>\n" +
        "    %m = heddle.mean_rows %x2 from %first to %last : (" + x + ", tensor<?xi32>, tensor<?xi32>) -> " + x + "\n" +
        "    %n = heddle.normalize %m eps 1.0e-12 : (" + x + ") -> " + x + "\n" + "    %e = heddle.select_rows %x2, %last : (" +
        x + ", tensor<?xi32>) -> " + x + "\n" + "    return %x2, %s, %n, %e : " + x + ", " + x + ", " + x + ", " + x + "\n  }\n";
    std::string step = "  func.func @step() -> " + rows(kVocabulary) + " {\n" + embed() + calls("decoder_block", true) + wanted +
                       get("%out", "output.weight", kVocabulary, kWidth) + linear("%y", "%s", "%out", kWidth, kVocabulary) +
                       "    return %y : " + rows(kVocabulary) + "\n  }\n";
    return "// stage 0: graph\nmodule {\n" + declarations_ +
           "  heddle.rope_table @rope base 1.0e+04 dims 32 scale 1.0\n"
           "  heddle.state paged @kv layers 2 heads 4 kv_heads 2 head_dim 32" +
           cache_ + "\n  heddle.state fixed @cross layers 2 heads 4 kv_heads 2 head_dim 32" + cache_ +
           "\n  heddle.state recurrent @memory layers 2 features " + std::to_string(features_) + "\n" + encoder + decoder +
           encode + pool + step + "}\n";
  }

private:
  std::string matrix(int64_t n, int64_t k) const {
    return "tensor<" + std::to_string(n) + "x" + std::to_string(k) + "x" + element_ + ">";
  }
  std::string weightsOfBlock() const {
    return "%norm: tensor<64xf32>, %wq: " + matrix(128, 64) + ", %wk: " + matrix(64, 64) + ", %wv: " + matrix(64, 64) +
           ", %wo: " + matrix(64, 128);
  }
  std::string weightsOfMemory() const {
    return ", %wg: " + matrix(features_, 64) + ", %wu: " + matrix(features_, 64) + ", %wd: " + matrix(64, features_);
  }
  std::string norm(const std::string &to, const std::string &from) const {
    return "    " + to + " = heddle.rms_norm " + from + ", %norm eps 1.0e-5 : (" + rows(64) + ", tensor<64xf32>) -> " + rows(64) +
           "\n";
  }
  std::string linear(const std::string &to, const std::string &from, const std::string &w, int64_t k, int64_t n) const {
    return "    " + to + " = heddle.linear " + from + " weights(" + w + ") : (" + rows(k) + ", " + matrix(n, k) + ") -> " +
           rows(n) + "\n";
  }
  static std::string add(const std::string &to, const std::string &a, const std::string &b) {
    return "    " + to + " = heddle.add " + a + ", " + b + " : (" + rows(64) + ", " + rows(64) + ") -> " + rows(64) + "\n";
  }
  /// Declares the weight, once, and gets it.
  std::string get(const std::string &to, const std::string &name, int64_t n, int64_t k) {
    const std::string type = k ? matrix(n, k) : "tensor<" + std::to_string(n) + "xf32>";
    const std::string line = "  heddle.weight @" + name + " : " + type + "\n";
    if (declarations_.find(line) == std::string::npos)
      declarations_ += line;
    return "    " + to + " = heddle.get @" + name + " : " + type + "\n";
  }
  std::string embed() {
    return get("%table", "token_embd.weight", kVocabulary, kWidth) + "    %ids = heddle.batch ids : tensor<?xi32>\n" +
           "    %x0 = heddle.embed %ids, %table : (tensor<?xi32>, " + matrix(kVocabulary, kWidth) + ") -> " + rows(64) + "\n";
  }
  std::string calls(const std::string &block, bool decoder) {
    std::string text;
    for (int64_t l = 0; l < kLayers; ++l) {
      const std::string n = std::to_string(l), at = "blk." + n + ".";
      text += "    %l" + n + " = arith.constant " + n + " : index\n" + get("%n" + n, at + "attn_norm.weight", 64, 0) +
              get("%q" + n, at + "attn_q.weight", 128, 64) + get("%k" + n, at + "attn_k.weight", 64, 64) +
              get("%v" + n, at + "attn_v.weight", 64, 64) + get("%o" + n, at + "attn_output.weight", 64, 128);
      if (decoder)
        text += get("%g" + n, at + "ffn_gate.weight", features_, 64) + get("%u" + n, at + "ffn_up.weight", features_, 64) +
                get("%d" + n, at + "ffn_down.weight", 64, features_);
      text += "    %x" + std::to_string(l + 1) + " = call @" + block + "(%x" + n + (decoder ? ", %l" + n : "") + ", %n" + n +
              ", %q" + n + ", %k" + n + ", %v" + n + ", %o" + n + (decoder ? ", %g" + n + ", %u" + n + ", %d" + n : "") +
              ") : (" + rows(64) + (decoder ? ", index" : "") + ", tensor<64xf32>, " + matrix(128, 64) + ", " + matrix(64, 64) +
              ", " + matrix(64, 64) + ", " + matrix(64, 128) +
              (decoder ? ", " + matrix(features_, 64) + ", " + matrix(features_, 64) + ", " + matrix(64, features_) : "") +
              ") -> " + rows(64) + "\n";
    }
    return text;
  }

  std::string element_, cache_, declarations_; // cache_: quantised weights go with a cache of 8 bits
  int64_t features_;
};

std::vector<int32_t> tokens(int64_t count, int32_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i)
    ids.push_back(static_cast<int32_t>((i * 37 + seed * 101 + i * i % 11) % kVocabulary));
  return ids;
}

/// A text to encode and one to continue it with; logits of every token of the second.
struct Sequence {
  std::vector<int32_t> source, target;
};
std::vector<Sequence> sequences() {
  // Past a chunk of keys and past two, one chunk exactly, and single tokens.
  return {{tokens(70, 1), tokens(9, 2)},
          {tokens(1, 3), tokens(1, 4)},
          {tokens(130, 5), tokens(67, 6)},
          {tokens(64, 7), tokens(5, 8)}};
}

/// What the entries give: of each sequence, the rows of its tokens, of its wanted one, their mean and its last one, and its
/// logits.
struct Results {
  std::vector<Logits> pooled, first, mean, last, logits; // [tokens][64], three of [1][64], [tokens][vocabulary]
  explicit Results(size_t sequences = 0) {
    for (auto part : {&Results::pooled, &Results::first, &Results::mean, &Results::last, &Results::logits})
      (this->*part).resize(sequences);
  }
};
constexpr std::vector<Logits> Results::*kPooled[] = {&Results::pooled, &Results::first, &Results::mean,
                                                     &Results::last}; // outputs of `pool`

testing::AssertionResult same(const Results &a, const Results &b) {
  for (auto part : {&Results::pooled, &Results::first, &Results::mean, &Results::last, &Results::logits})
    for (size_t s = 0; s < (a.*part).size(); ++s) {
      const Logits &x = (a.*part)[s], &y = (b.*part).at(s);
      if (x.empty() || x.size() != y.size())
        return testing::AssertionFailure() << "sequence " << s << ": " << x.size() << " values against " << y.size();
      for (size_t i = 0; i < x.size(); ++i)
        if (std::memcmp(&x[i], &y[i], sizeof(float)))
          return testing::AssertionFailure() << (part == &Results::pooled  ? "pooled rows"
                                                 : part == &Results::first ? "wanted rows"
                                                 : part == &Results::mean  ? "means"
                                                 : part == &Results::last  ? "last rows"
                                                                           : "logits")
                                             << " of sequence " << s << ", value " << i << ": " << x[i] << " against " << y[i];
    }
  return testing::AssertionSuccess();
}

/// Rows of all sequences of a call, taken apart again.
void take(std::vector<Logits> &to, const Logits &rows, const std::vector<size_t> &counts, size_t columns) {
  size_t at = 0;
  for (size_t s = 0; s < counts.size(); ++s) {
    to[s].insert(to[s].end(), rows.begin() + static_cast<ptrdiff_t>(at * columns),
                 rows.begin() + static_cast<ptrdiff_t>((at + counts[s]) * columns));
    at += counts[s];
  }
  ASSERT_EQ(at * columns, rows.size());
}

// ---- the interpreter ----

reference::Batch batchOf(const std::vector<std::vector<int32_t>> &texts, bool firstOnly) {
  reference::Batch batch;
  batch.pageWidth = 4;
  for (size_t s = 0; s < texts.size(); ++s) {
    for (size_t i = 0; i < texts[s].size(); ++i) {
      if (!firstOnly || i == 0)
        batch.rows.push_back(static_cast<int32_t>(batch.ids.size()));
      batch.ids.push_back(texts[s][i]);
      batch.positions.push_back(static_cast<int32_t>(i));
      batch.sequences.push_back(static_cast<int32_t>(s));
    }
    for (int32_t page = 0; page < 4; ++page) // interleaved: only the table says where a chunk lies
      batch.pageTable.push_back(static_cast<int32_t>(texts.size()) * page + static_cast<int32_t>(s));
  }
  reference::StateTable cross{batch.pageTable, 4}, memory;
  for (size_t s = 0; s < texts.size(); ++s)
    memory.pages.push_back(static_cast<int32_t>(texts.size() - s));
  batch.states = {{"cross", cross}, {"memory", memory}};
  return batch;
}

Results interpret(const CompiledModel &model, const char *stage, int ranks) {
  PackedWeights weights(model.model());
  Program program(model.stage(stage));
  Results results;
  if (!program.valid()) {
    ADD_FAILURE() << program.errors();
    return results;
  }
  auto reference = program.reference(reference::Mode::oneArithmetic, weights, ranks);
  std::vector<std::vector<int32_t>> sources, targets;
  std::vector<int32_t> lengths;
  std::vector<size_t> sourceCounts, targetCounts;
  for (const Sequence &s : sequences()) {
    sources.push_back(s.source), targets.push_back(s.target);
    lengths.push_back(static_cast<int32_t>(s.source.size()));
    sourceCounts.push_back(s.source.size()), targetCounts.push_back(s.target.size());
  }
  results = Results(sources.size());
  auto values = [](const reference::TensorPtr &t) { return std::get<std::vector<float>>(t->data); };
  auto pooled = reference->run("pool", batchOf(sources, true));
  reference::Batch step = batchOf(targets, false);
  step.states["cross"].lengths = lengths;
  auto encoded = reference->run("encode", batchOf(sources, true));
  auto logits = reference->run("step", step);
  if (failed(pooled) || failed(encoded) || failed(logits)) {
    ADD_FAILURE() << program.errors();
    return results;
  }
  EXPECT_TRUE(encoded->empty());
  for (size_t output = 0; output < std::size(kPooled); ++output)
    take(results.*kPooled[output], values((*pooled)[output]), output ? std::vector<size_t>(sources.size(), 1) : sourceCounts,
         kWidth);
  take(results.logits, values((*logits)[0]), targetCounts, kVocabulary);
  return results;
}

// ---- compiled code ----

struct Way {
  int ranks = 1;
  int64_t threads = 1, chunk = 512;
  bool atOnce = true; // all sequences in a call, or one after the other
};
void PrintTo(const Way &way, std::ostream *out) {
  *out << "ranks " << way.ranks << ", threads " << way.threads << ", chunks of " << way.chunk
       << (way.atOnce ? "" : ", one by one");
}

/// Ranks as threads; rank 0 does `lead`, the others follow it.
void withEngine(const std::filesystem::path &directory, const Way &way, const std::function<void(Engine &)> &lead) {
  Plan plan = Plan::open(directory);
  EngineOptions options;
  options.threads = way.threads, options.context = 256, options.kvBytes = 64 << 20;
  auto group = makeThreadCommunicators(way.ranks);
  std::vector<std::jthread> ranks;
  for (auto &member : group)
    ranks.emplace_back([&, &member = *member] {
      Engine engine(plan, options, member);
      member.rank() == 0 ? lead(engine) : engine.follow();
    });
}

Results run(const std::filesystem::path &plan, const Way &way) {
  const std::vector<Sequence> all = sequences();
  Results results(all.size());
  withEngine(plan, way, [&](Engine &engine) {
    std::vector<std::vector<size_t>> groups; // of sequences that share calls
    for (size_t s = 0; s < all.size(); ++s)
      if (way.atOnce && s)
        groups.back().push_back(s);
      else
        groups.push_back({s});
    for (const std::vector<size_t> &group : groups) {
      EntryCall pool{"pool", {}}, encode{"encode", {}};
      std::vector<size_t> counts;
      for (size_t s : group) {
        pool.parts.push_back({s, all[s].source, {0}}), encode.parts.push_back({s, all[s].source});
        counts.push_back(all[s].source.size());
      }
      auto pooled = engine.call(pool);
      EXPECT_TRUE(engine.call(encode).empty());
      for (size_t output = 0; output < std::size(kPooled); ++output) {
        std::vector<Logits> rows(group.size());
        take(rows, pooled.at(output).values, output ? std::vector<size_t>(group.size(), 1) : counts, kWidth);
        for (size_t i = 0; i < group.size(); ++i)
          (results.*kPooled[output])[group[i]] = rows[i];
      }
      for (size_t begin = 0, more = 1; more; begin += static_cast<size_t>(way.chunk)) {
        EntryCall step{"step", {}};
        more = 0;
        for (size_t s : group) {
          const std::vector<int32_t> &target = all[s].target;
          if (begin >= target.size())
            continue;
          const size_t end = std::min(target.size(), begin + static_cast<size_t>(way.chunk));
          EntryCall::Part part{s, {target.begin() + static_cast<ptrdiff_t>(begin), target.begin() + static_cast<ptrdiff_t>(end)}};
          for (size_t i = begin; i < end; ++i)
            part.wanted.push_back(static_cast<int32_t>(i - begin));
          step.parts.push_back(part);
        }
        if (step.parts.empty())
          break;
        more = 1;
        const Logits rows = engine.call(step).at(0).values;
        size_t at = 0;
        for (const EntryCall::Part &part : step.parts) {
          Logits &to = results.logits[part.sequence];
          to.insert(to.end(), rows.begin() + static_cast<ptrdiff_t>(at),
                    rows.begin() + static_cast<ptrdiff_t>(at + part.tokens.size() * kVocabulary));
          at += part.tokens.size() * kVocabulary;
        }
      }
      for (size_t s : group)
        engine.forget(s);
    }
  });
  return results;
}

class Programs : public testing::TestWithParam<Format> {
protected:
  CompiledModel model{config(GetParam()), KvType::F16, [](const std::string &) { return Text(GetParam()).program(); }};
};

TEST_P(Programs, RanksThreadsChunksAndNeighboursKeepTheBits) {
  const Results truth = interpret(model, "fused", 1);
  ASSERT_FALSE(truth.logits.empty());
  float largest = 0;
  for (const Logits &logits : truth.logits)
    for (float x : logits)
      largest = std::max(largest, std::fabs(x));
  EXPECT_GT(largest, 0.1f);
  for (int ranks : {2, 3, 5})
    EXPECT_TRUE(same(interpret(model, "sharded", ranks), truth)) << "stage sharded, ranks " << ranks;
  const std::filesystem::path plan = model.plan("", "");
  for (const Way &way : {Way{}, {1, 3, 7}, {1, 2, 512, false}, {2, 1, 1}, {3, 2, 20, false}, {5, 1, 64}})
    EXPECT_TRUE(same(run(plan, way), truth)) << testing::PrintToString(way);
}

TEST_P(Programs, TargetsKeepTheBits) {
  const Results truth = interpret(model, "fused", 1);
  for (std::string_view tiling : kTargets)
    EXPECT_TRUE(same(run(model.plan("x86-64-v3", std::string(tiling)), {1, 2, 33}), truth)) << tiling;
}

INSTANTIATE_TEST_SUITE_P(Formats, Programs, testing::Values(Format::F32, Format::Q4_0),
                         [](const auto &info) { return std::string(info.param == Format::F32 ? "F32" : "Q4_0"); });

/// Sequences go on, fork and end; what an entry lacks is said in one line.
TEST(ProgramCalls, StatesFollowTheirSequences) {
  CompiledModel model(config(Format::F32), KvType::F16, [](const std::string &) { return Text(Format::F32).program(); });
  const std::vector<Sequence> all = sequences();
  withEngine(model.plan("", ""), {2, 1}, [&](Engine &engine) {
    auto refused = [&](const EntryCall &call) -> std::string {
      try {
        engine.call(call);
        return "nothing";
      } catch (const std::invalid_argument &error) {
        return error.what();
      }
    };
    EXPECT_EQ(refused({"decode", {{1, {1}}}}), "the program has no entry 'decode': it has 'encode', 'pool', 'step'");
    EXPECT_EQ(refused({"step", {{1, {1}}}}),
              "entry 'step', sequence 1: has nothing in its fixed state: call the entry that writes it first");
    EXPECT_EQ(refused({"pool", {{1, {1}}, {1, {2}}}}), "entry 'pool', sequence 1: stands in the call twice");
    EXPECT_EQ(refused({"pool", {{1, {1, 2}, {1, 1}}}}),
              "entry 'pool', sequence 1: wanted rows must be its tokens, in increasing order");
    EXPECT_EQ(refused({"pool", {{1, {}}}}), "sequence 1 is empty: it needs at least one token");
    EXPECT_EQ(refused({"pool", {{1, {kVocabulary}}}}), "sequence 1: token 0 is 300, outside of the vocabulary of 300");
    EXPECT_EQ(refused({"pool", {{1, tokens(257, 1)}}}),
              "entry 'pool', sequence 1: has no room for 257 more tokens in the context of 256");
    EXPECT_EQ(refused({"pool", {}}), "entry 'pool' is called for 0 tokens; a call has 1 to 512");
    engine.call({"encode", {{1, all[0].source}}});
    EXPECT_EQ(refused({"encode", {{1, all[0].source}}}),
              "entry 'encode', sequence 1: has written its fixed state already: forget it first");

    auto next = [&](uint64_t sequence, int32_t token) { return engine.call({"step", {{sequence, {token}, {0}}}}).at(0).values; };
    // The whole text at once is the truth for one that forks after some tokens.
    engine.call({"encode", {{2, all[0].source}}});
    std::vector<int32_t> text = {5, 6, 7, 8, 9}, other = {5, 6, 7, 10, 11};
    const Logits straight = engine.call({"step", {{2, text, {4}}}}).at(0).values;
    engine.call({"step", {{1, {5, 6, 7}}}});
    engine.fork(1, 3);
    next(3, 10);
    next(1, 8);
    const Logits forked = next(1, 9), branch = next(3, 11);
    EXPECT_EQ(forked, straight) << "the other branch showed";
    engine.call({"encode", {{4, all[0].source}}});
    EXPECT_EQ(branch, engine.call({"step", {{4, other, {4}}}}).at(0).values);
    EXPECT_NE(branch, forked);
    EXPECT_THROW(engine.fork(1, 3), std::invalid_argument);
    EXPECT_THROW(engine.fork(77, 78), std::invalid_argument);
    engine.forget(1);
    EXPECT_EQ(next(3, 12), next(4, 12)) << "what the parent had is the child's still";
    // Rows and pages that were given back are handed out clean.
    engine.call({"encode", {{1, all[0].source}}});
    EXPECT_EQ(engine.call({"step", {{1, text, {4}}}}).at(0).values, straight);
    // A sequence for which pages were too few has not begun.
    uint64_t last = 100;
    std::string why;
    while ((why = refused({"encode", {{last, text}}})) == "nothing" && last < 10000)
      ++last;
    EXPECT_NE(why.find(" of a fixed state, and 0 are free: forget sequences"), std::string::npos) << why;
    engine.fork(100, last);
    for (uint64_t sequence = 100; sequence <= last; ++sequence)
      engine.forget(sequence);
    // A request's way needs an entry that keeps its states by pages alone.
    Request request{9, {1, 2, 3}, {}};
    try {
      engine.submit(request);
      ADD_FAILURE() << "the request was taken";
    } catch (const std::invalid_argument &error) {
      EXPECT_EQ(std::string(error.what()), "entry 'step' acts on a fixed state, so it cannot continue a text by itself yet: call "
                                           "the program's entries by name");
    }
  });
}

/// A program that keeps nothing has no states but for a step's own, and runs.
TEST(ProgramCalls, AProgramWithoutStatesIsAProgram) {
  CompiledModel model(config(Format::F32), KvType::F16, [](const std::string &) {
    const std::string table = "tensor<300x64xf32>", x = rows(64);
    return "// stage 0: graph\nmodule {\n  heddle.weight @token_embd.weight : " + table + "\n  func.func @look() -> " + x +
           " {\n    %ids = heddle.batch ids : tensor<?xi32>\n    %t = heddle.get @token_embd.weight : " + table +
           "\n    %x = heddle.embed %ids, %t : (tensor<?xi32>, " + table + ") -> " + x + "\n    return %x : " + x + "\n  }\n}\n";
  });
  const std::filesystem::path plan = model.plan("", "");
  EXPECT_TRUE(Plan::open(plan).manifest().states.empty());
  withEngine(plan, {3, 2}, [&](Engine &engine) {
    auto both = engine.call({"look", {{1, {7, 9}}, {2, {7}}}}).at(0);
    ASSERT_EQ(both.rows, 3);
    EXPECT_FALSE(std::memcmp(both.values.data(), both.values.data() + 2 * kWidth, kWidth * sizeof(float)));
    EXPECT_TRUE(std::memcmp(both.values.data(), both.values.data() + kWidth, kWidth * sizeof(float)));
    try {
      engine.submit({1, {1}, {}});
      ADD_FAILURE() << "the request was taken";
    } catch (const std::invalid_argument &error) {
      EXPECT_EQ(std::string(error.what()), "the program has no entry that gives logits, so it cannot continue a text");
    }
  });
}

} // namespace
