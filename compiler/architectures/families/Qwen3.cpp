//===- Qwen3.cpp - Qwen 3, dense ------------------------------------------------------------------------------------===//
//
// Qwen Team, arXiv:2505.09388: Llama's block with an RMS norm of each head of q and k before they turn, in place of Qwen 2's
// biases. A head's size is a number of its own: heads together may be wider or narrower than the model.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Decoder.h"

using namespace heddle;
using namespace heddle::ir;

static void build(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const Decoder d = readDecoder(m);
  const Rotation rotation = readRotation(m, d, "rope.freq_base", 10000.0, RopeScaling::Factors);
  const auto bias = readBiases(m, "attention_bias");

  g.declareRope("rope", d.rotated, rotation);
  g.declareState("kv", d.layers, d.heads, d.kvHeads, d.headDim);
  g.beginEntry("step");
  auto table = g.weight("token_embd.weight", d.embeddings());
  auto x = g.embed(table);
  for (int64_t layer = 0; layer < d.layers; ++layer)
    x = g.block("decoder_block", layer, x,
                {{"attn_norm", d.features()},
                 {"attn_q", d.queries(), bias},
                 {"attn_k", d.keys(), bias},
                 {"attn_v", d.keys(), bias},
                 {"attn_q_norm", d.headFeatures()},
                 {"attn_k_norm", d.headFeatures()},
                 {"attn_output", d.attended(), bias},
                 {"ffn_norm", d.features()},
                 {"ffn_gate", d.up()},
                 {"ffn_up", d.up()},
                 {"ffn_down", d.down()}},
                [&](mlir::Value x, const GraphBuilder::Weights &w) {
                  auto h = g.rmsNorm(x, w("attn_norm"), d.eps);
                  auto q = g.rmsNorm(g.linear(h, w("attn_q")), w("attn_q_norm"), d.eps, d.heads);
                  auto k = g.rmsNorm(g.linear(h, w("attn_k")), w("attn_k_norm"), d.eps, d.kvHeads);
                  q = g.rope(q, "rope", d.heads, RopeStyle::Neox);
                  k = g.rope(k, "rope", d.kvHeads, RopeStyle::Neox);
                  auto v = g.linear(h, w("attn_v"));
                  auto a = g.attention(q, k, v, {"kv", d.heads, d.kvHeads, d.headDim, d.scale});
                  x = g.add(x, g.linear(a, w("attn_output")));
                  h = g.rmsNorm(x, w("ffn_norm"), d.eps);
                  auto gate = g.activate(g.linear(h, w("ffn_gate")), Activation::Silu);
                  return g.add(x, g.linear(g.mul(gate, g.linear(h, w("ffn_up"))), w("ffn_down")));
                });
  x = g.rmsNorm(g.wantedRows(x), g.weight("output_norm.weight", d.features()), d.eps);
  g.endEntry(g.linear(x, m.tiedHead() ? table : g.weight("output.weight", d.embeddings())));
}

const Family &HEDDLE_FAMILY(Qwen3)() {
  constexpr const char *kWindow = "the window is off", *kWindowed = "a window in some layers is not supported";
  static const Family family{
      .name = "qwen3",
      .modelTypes = {{"qwen3"}},
      .values = decoderValues({{"attention_bias", {"attention_bias"}}, {"attention.key_length", {"head_dim"}, {int64_t{128}}}}),
      .weights = {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}},
      .blockWeights = {{"attn_norm", "input_layernorm"},
                       {"attn_q", "self_attn.q_proj"},
                       {"attn_k", "self_attn.k_proj"},
                       {"attn_v", "self_attn.v_proj"},
                       {"attn_q_norm", "self_attn.q_norm"},
                       {"attn_k_norm", "self_attn.k_norm"},
                       {"attn_output", "self_attn.o_proj"},
                       {"ffn_norm", "post_attention_layernorm"},
                       {"ffn_gate", "mlp.gate_proj"},
                       {"ffn_up", "mlp.up_proj"},
                       {"ffn_down", "mlp.down_proj"}},
      .settingRules = {{"@use_sliding_window", "false", kWindowed},
                       {"@sliding_window", "*", kWindow},
                       {"@max_window_layers", "*", kWindow},
                       {"@layer_types", "*", kWindow},
                       {"@hidden_act", "silu", "this activation function is not supported"}},
      .tensorRules = {},
      .build = build};
  return family;
}
