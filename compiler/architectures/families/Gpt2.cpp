//===- Gpt2.cpp - GPT-2 ---------------------------------------------------------------------------------------------===//
//
// Radford et al., "Language Models are Unsupervised Multitask Learners", 2019: learned positions, layer norms before each half,
// GELU between two products, biases everywhere but in the head, which is the embedding table. Folders keep products as
// [in × out]; queries, keys and values are one tensor in both kinds of files.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Decoder.h"

using namespace heddle;
using namespace heddle::ir;

static void build(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const Decoder d = readDecoder(m, /*widening=*/4);
  const Shape places{{*m.integer("context_length"), d.width}, "context_length × embedding_length"};
  constexpr auto kBias = GraphBuilder::Bias::Needed;

  g.declareState("kv", d.layers, d.heads, d.kvHeads, d.headDim);
  g.beginEntry("step");
  auto table = g.weight("token_embd.weight", d.embeddings());
  auto x = g.add(g.embed(table), g.embedPositions(g.weight("position_embd.weight", places)));
  auto part = [&](int64_t first) { return GraphBuilder::Part{"attn_qkv", first * d.width, 3 * d.width}; };
  for (int64_t layer = 0; layer < d.layers; ++layer)
    x = g.block("decoder_block", layer, x,
                {{"attn_norm", d.features(), kBias},
                 {"attn_q", d.queries(), kBias, part(0)},
                 {"attn_k", d.keys(), kBias, part(1)},
                 {"attn_v", d.keys(), kBias, part(2)},
                 {"attn_output", d.attended(), kBias},
                 {"ffn_norm", d.features(), kBias},
                 {"ffn_up", d.up(), kBias},
                 {"ffn_down", d.down(), kBias}},
                [&](mlir::Value x, const GraphBuilder::Weights &w) {
                  auto h = g.layerNorm(x, w("attn_norm"), d.eps);
                  auto q = g.linear(h, w("attn_q")), k = g.linear(h, w("attn_k")), v = g.linear(h, w("attn_v"));
                  auto a = g.attention(q, k, v, {"kv", d.heads, d.kvHeads, d.headDim, d.scale});
                  x = g.add(x, g.linear(a, w("attn_output")));
                  h = g.linear(g.layerNorm(x, w("ffn_norm"), d.eps), w("ffn_up"));
                  return g.add(x, g.linear(g.activate(h, Activation::GeluTanh), w("ffn_down")));
                });
  x = g.layerNorm(g.wantedRows(x), g.weight("output_norm.weight", d.features(), kBias), d.eps);
  g.endEntry(g.linear(x, m.tiedHead() ? table : g.weight("output.weight", d.embeddings())));
}

const Family &HEDDLE_FAMILY(Gpt2)() {
  constexpr const char *kMask = "the causal mask", *kSummary = "only a head for multiple choice has a summary";
  static const Family family{
      .name = "gpt2",
      .modelTypes = {{"gpt2"}},
      .values =
          decoderValues({{"embedding_length", {"n_embd"}, {int64_t{768}}},
                         {"feed_forward_length", {"n_inner"}},
                         {"block_count", {"n_layer"}, {int64_t{12}}},
                         {"attention.head_count", {"n_head"}, {int64_t{12}}},
                         {"attention.head_count_kv", {}},
                         {"attention.key_length", {}},
                         {"attention.layer_norm_rms_epsilon", {"layer_norm_epsilon"}, {1e-5}, {"attention.layer_norm_epsilon"}},
                         {"context_length", {"n_positions", "n_ctx"}, {int64_t{1024}}},
                         {"tie_word_embeddings", {"tie_word_embeddings"}, {true}}}),
      .weights = {{"token_embd", "model.wte"},
                  {"position_embd", "model.wpe"},
                  {"output_norm", "model.ln_f"},
                  {"output", "lm_head"}},
      .blockWeights = {{"attn_norm", "ln_1"},
                       {"attn_qkv", "attn.c_attn", "transpose($)", "$"},
                       {"attn_output", "attn.c_proj", "transpose($)", "$"},
                       {"ffn_norm", "ln_2"},
                       {"ffn_up", "mlp.c_fc", "transpose($)", "$"},
                       {"ffn_down", "mlp.c_proj", "transpose($)", "$"}},
      .places = {"transformer.", ""},
      .layers = "model.h.*.",
      .settingRules = {{"@activation_function", "gelu_new|gelu_pytorch_tanh", "this activation function is not supported"},
                       {"@summary_*", "*", kSummary},
                       {"@_num_labels", "*", "names of classes, which only a classification head has"},
                       {"@scale_attn_weights", "true", "attention without a scale is not supported"},
                       {"@scale_attn_by_inverse_layer_idx", "false",
                        "scales of attention that differ by layer are not supported"},
                       {"@reorder_and_upcast_attn", "*", "how Python code computes the same attention"}},
      .tensorRules = {{"*.attn.bias", "*", kMask}, {"*.attn.masked_bias", "*", kMask}},
      .build = build};
  return family;
}
