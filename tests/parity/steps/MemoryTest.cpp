//===- MemoryTest.cpp - where values lie: edited graphs, compiled, against the interpreter ------------------------------===//
//
// A tiny decoder's stage graph, edited into what no family writes today but anybody may: a block's input that is read after the
// call, blocks with two results, a value passed twice, activations and sums that no product takes along. The interpreter has no
// buffers, so that whatever memory planning gets wrong shows as other bits.
//===---------------------------------------------------------------------------------------------------------------===//
#include "tests/parity/steps/Compiled.h"
#include <cstring>
#include <gtest/gtest.h>
#include <regex>

using namespace heddle;
using namespace heddle::test;

namespace {

const std::string kRows = "tensor<?x64xf32>";

std::string add(const std::string &name, const std::string &a, const std::string &b) {
  return "    " + name + " = heddle.add " + a + ", " + b + " : (" + kRows + ", " + kRows + ") -> " + kRows + "\n";
}

/// Every place that `pattern` names, which must be there.
std::string replaced(const std::string &text, const std::string &pattern, const std::string &by) {
  std::regex expression(pattern);
  EXPECT_TRUE(std::regex_search(text, expression)) << pattern;
  return std::regex_replace(text, expression, by);
}

/// Before the block returns `value`, `ops` are computed from it; `more` is what it returns then.
std::string atBlocksEnd(const std::string &graph, const std::string &ops, const std::string &more) {
  return replaced(graph, "    return (%\\w+) : tensor<\\?x64xf32>\n", ops + "    return " + more + " : " + kRows + "\n");
}

/// What each call of a block was given is added to what it returns.
std::string inputReadAfterTheCall(std::string graph) {
  graph = replaced(graph, "    %(\\w+) = call @decoder_block\\((%\\w+)(.*)\n",
                   "    %raw_$1 = call @decoder_block($2$3\n" + add("%$1", "%raw_$1", "$2"));
  return graph;
}

/// Blocks return their input too, as it came.
std::string twoResults(std::string graph) {
  const std::string two = "(" + kRows + ", " + kRows + ")";
  graph = replaced(graph, "(func.func private @decoder_block.*) -> tensor<\\?x64xf32> \\{", "$1 -> " + two + " {");
  graph = replaced(graph, "    return (%\\w+) : tensor<\\?x64xf32>\n", "    return $1, %x : " + kRows + ", " + kRows + "\n");
  return replaced(graph, "    %(\\w+) = call @decoder_block(.*) -> tensor<\\?x64xf32>\n",
                  "    %both_$1:2 = call @decoder_block$2 -> " + two + "\n" + add("%$1", "%both_$1#0", "%both_$1#1"));
}

/// A block returns one value as both of its results.
std::string sameResultTwice(std::string graph) {
  const std::string two = "(" + kRows + ", " + kRows + ")";
  graph = replaced(graph, "(func.func private @decoder_block.*) -> tensor<\\?x64xf32> \\{", "$1 -> " + two + " {");
  graph = replaced(graph, "    return (%\\w+) : tensor<\\?x64xf32>\n", "    return $1, $1 : " + kRows + ", " + kRows + "\n");
  return replaced(graph, "    %(\\w+) = call @decoder_block(.*) -> tensor<\\?x64xf32>\n",
                  "    %both_$1:2 = call @decoder_block$2 -> " + two + "\n" + add("%$1", "%both_$1#1", "%both_$1#0"));
}

/// An activation and a product of values that no product takes along, and a sum of three uses.
std::string unfused(std::string graph) {
  return atBlocksEnd(graph,
                     "    %act = heddle.activate gelu_tanh $1 : (" + kRows + ") -> " + kRows +
                         "\n    %times = heddle.mul %act, %x : (" + kRows + ", " + kRows + ") -> " + kRows + "\n" +
                         add("%sum", "%times", "$1") + add("%more", "%sum", "%act"),
                     "%more");
}

/// A block that calls another with one value twice, and reads that value afterwards.
std::string nested(std::string graph) {
  graph = inputReadAfterTheCall(std::move(graph));
  std::string inner = "  func.func private @twice(%a: " + kRows + ", %b: " + kRows + ") -> " + kRows + " {\n" +
                      "    %g = heddle.activate silu %a : (" + kRows + ") -> " + kRows + "\n" + add("%s", "%b", "%g") +
                      "    return %s : " + kRows + "\n  }\n";
  std::string outer = "  func.func private @outer(%a: " + kRows + ") -> " + kRows + " {\n    %t = call @twice(%a, %a) : (" +
                      kRows + ", " + kRows + ") -> " + kRows + "\n" + add("%s", "%t", "%a") + "    return %s : " + kRows +
                      "\n  }\n";
  size_t at = graph.find("  func.func private @decoder_block");
  graph.insert(at, inner + outer);
  return replaced(graph, "(    %\\w+) = heddle.select_rows (%\\w+),",
                  "    %deep = call @outer($2) : (" + kRows + ") -> " + kRows + "\n$1 = heddle.select_rows %deep,");
}

struct Edited {
  const char *name;
  std::string (*edit)(std::string);
};
void PrintTo(const Edited &test, std::ostream *out) { *out << test.name; }

/// Equal as bits; says where the first difference is.
testing::AssertionResult sameBits(const Logits &a, const Logits &b) {
  if (a.size() != b.size())
    return testing::AssertionFailure() << a.size() << " logits against " << b.size();
  for (size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof(float)))
      return testing::AssertionFailure() << "logit " << i << ": " << a[i] << " against " << b[i];
  return testing::AssertionSuccess();
}

class Memory : public testing::TestWithParam<Edited> {};

TEST_P(Memory, EditedGraphsGiveTheInterpretersBits) {
  TinyConfig config;
  config.weights = Format::Q4_0;
  config.headDim = 32, config.heads = 2, config.kvHeads = 1;
  CompiledModel model(config, KvType::F16, GraphEdit(GetParam().edit)), plain(config);
  std::vector<int32_t> ids(70);
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int32_t>(i * 37 % static_cast<size_t>(config.vocabulary));
  const Logits truth = interpret(model, "fused", ids);
  EXPECT_FALSE(sameBits(truth, interpret(plain, "fused", ids))) << "the edit changed nothing";
  for (int ranks : {1, 2, 3})
    EXPECT_TRUE(sameBits(interpret(model, "sharded", ids, ranks), truth)) << "stage sharded, ranks " << ranks;
  std::filesystem::path plan = model.plan("", "");
  for (Schedule s : {Schedule{1, 1, 512}, {1, 3, 7}, {2, 1, 64}, {3, 2, 1}})
    EXPECT_TRUE(sameBits(run(plan, ids, s), truth)) << "ranks " << s.ranks << ", threads " << s.threads << ", chunk " << s.chunk;
}

INSTANTIATE_TEST_SUITE_P(Graphs, Memory,
                         testing::Values(Edited{"InputReadAfterTheCall", inputReadAfterTheCall}, Edited{"TwoResults", twoResults},
                                         Edited{"SameResultTwice", sameResultTwice}, Edited{"Unfused", unfused},
                                         Edited{"Nested", nested}),
                         [](const auto &info) { return info.param.name; });

} // namespace
