//===- Granite.cpp - Granite 3 and 4 (dense) ------------------------------------------------------------------------===//
//
// IBM's decoders are Llama's (Touvron et al., arXiv:2302.13971) with four constants: embeddings, attention scores and what each
// half of a block adds are multiplied, logits are divided. Rows of q and k as in Llama.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Decoder.h"

using namespace heddle;
using namespace heddle::ir;

static void build(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const Decoder d = readDecoder(m);
  const Rotation rotation = readRotation(m, d, "rope.freq_base", 10000.0, RopeScaling::Factors);
  auto factor = [&](const char *key) { return m.numberWithin(key, 1e-6, 1e6).value_or(1); };
  const auto embeddings = static_cast<float>(factor("embedding_scale")), added = static_cast<float>(factor("residual_scale"));
  const auto logits = static_cast<float>(1 / factor("logit_scale"));

  const auto attention = readBiases(m, "attention_bias"), mlp = readBiases(m, "mlp_bias");

  g.declareRope("rope", d.rotated, rotation);
  g.declareState("kv", d.layers, d.heads, d.kvHeads, d.headDim);
  g.beginEntry("step");
  auto table = g.weight("token_embd.weight", d.embeddings());
  mlir::Value x = g.embed(table, embeddings);
  for (int64_t layer = 0; layer < d.layers; ++layer)
    x = g.block("decoder_block", layer, x,
                {{"attn_norm", d.features()},
                 {"attn_q", d.queries(), attention},
                 {"attn_k", d.keys(), attention},
                 {"attn_v", d.keys(), attention},
                 {"attn_output", d.attended(), attention},
                 {"ffn_norm", d.features()},
                 {"ffn_gate", d.up(), mlp},
                 {"ffn_up", d.up(), mlp},
                 {"ffn_down", d.down(), mlp}},
                [&](mlir::Value x, const GraphBuilder::Weights &w) {
                  auto h = g.rmsNorm(x, w("attn_norm"), d.eps);
                  auto q = g.rope(g.linear(h, w("attn_q")), "rope", d.heads, RopeStyle::Interleaved);
                  auto k = g.rope(g.linear(h, w("attn_k")), "rope", d.kvHeads, RopeStyle::Interleaved);
                  auto v = g.linear(h, w("attn_v"));
                  auto a = g.attention(q, k, v, {"kv", d.heads, d.kvHeads, d.headDim, d.scale});
                  x = g.add(x, g.scale(g.linear(a, w("attn_output")), added));
                  h = g.rmsNorm(x, w("ffn_norm"), d.eps);
                  auto gate = g.activate(g.linear(h, w("ffn_gate")), Activation::Silu);
                  return g.add(x, g.scale(g.linear(g.mul(gate, g.linear(h, w("ffn_up"))), w("ffn_down")), added));
                });
  x = g.rmsNorm(g.wantedRows(x), g.weight("output_norm.weight", d.features()), d.eps);
  g.endEntry(g.scale(g.linear(x, m.tiedHead() ? table : g.weight("output.weight", d.embeddings())), logits));
}

const Family &HEDDLE_FAMILY(Granite)() {
  static const Family family{
      .name = "granite",
      .modelTypes = {{"granite"}},
      .values = decoderValues({{"attention.scale", {"attention_multiplier"}, {1.0}},
                               {"embedding_scale", {"embedding_multiplier"}, {1.0}},
                               {"residual_scale", {"residual_multiplier"}, {1.0}},
                               {"logit_scale", {"logits_scaling"}, {1.0}},
                               {"attention_bias", {"attention_bias"}},
                               {"mlp_bias", {"mlp_bias"}}}),
      .weights = {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}},
      .blockWeights = {{"attn_norm", "input_layernorm"},
                       {"attn_q", "self_attn.q_proj", "permute($, {attention.head_count})"},
                       {"attn_k", "self_attn.k_proj", "permute($, {attention.head_count_kv|attention.head_count})"},
                       {"attn_v", "self_attn.v_proj"},
                       {"attn_output", "self_attn.o_proj"},
                       {"ffn_norm", "post_attention_layernorm"},
                       {"ffn_gate", "mlp.gate_proj"},
                       {"ffn_up", "mlp.up_proj"},
                       {"ffn_down", "mlp.down_proj"}},
      .settingRules = {{"granite.residual_scale", "", ""}, // read
                       {"granite.logit_scale", "", ""},
                       {"granite.rope.scaling.finetuned", "true", "attention without positions is not supported"},
                       {"@position_embedding_type", "rope", "attention without positions is not supported"},
                       {"@hidden_act", "silu|swish", "this activation function is not supported"}},
      .tensorRules = {},
      .build = build};
  return family;
}
