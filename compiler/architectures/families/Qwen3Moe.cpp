//===- Qwen3Moe.cpp - Qwen 3, mixtures of experts -------------------------------------------------------------------===//
//
// Qwen Team, arXiv:2505.09388: the dense model's attention, and in place of the feed-forward many narrow experts of which each
// token chooses a few. Folders may say that the chosen experts' weights are not normalised; files are always of models where they
// are.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Decoder.h"

using namespace heddle;
using namespace heddle::ir;

static void build(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const Decoder d = readDecoder(m);
  const Experts experts = readExperts(m, "expert_feed_forward_length");
  const Rotation rotation = readRotation(m, d, "rope.freq_base", 10000.0, RopeScaling::Factors);
  const bool overAll = !m.flag("expert_weights_norm").value_or(true);
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
                 {"ffn_gate_inp", experts.router(d)},
                 {"ffn_gate_exps", experts.up(d)},
                 {"ffn_up_exps", experts.up(d)},
                 {"ffn_down_exps", experts.down(d)}},
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
                  auto chosen = g.chooseExperts(g.linear(h, w("ffn_gate_inp")), experts.chosen, overAll);
                  auto gate = g.activate(g.expertLinear(h, w("ffn_gate_exps"), chosen), Activation::Silu);
                  auto up = g.expertLinear(h, w("ffn_up_exps"), chosen);
                  return g.add(x, g.sumExperts(g.expertLinear(g.mul(gate, up), w("ffn_down_exps"), chosen), chosen));
                });
  x = g.rmsNorm(g.wantedRows(x), g.weight("output_norm.weight", d.features()), d.eps);
  g.endEntry(g.linear(x, m.tiedHead() ? table : g.weight("output.weight", d.embeddings())));
}

const Family &HEDDLE_FAMILY(Qwen3Moe)() {
  constexpr const char *kWindow = "the window is off", *kWindowed = "a window in some layers is not supported";
  constexpr const char *kDense = "layers without experts are not supported";
  static const Family family{
      .name = "qwen3moe",
      .modelTypes = {{"qwen3_moe"}},
      .values = decoderValues({{"attention_bias", {"attention_bias"}},
                               {"attention.head_count_kv", {"num_key_value_heads"}, {int64_t{4}}},
                               {"expert_count", {"num_experts"}, {int64_t{128}}},
                               {"expert_used_count", {"num_experts_per_tok"}, {int64_t{8}}},
                               {"expert_feed_forward_length", {"moe_intermediate_size"}, {int64_t{768}}},
                               {"expert_weights_norm", {"norm_topk_prob"}, {false}}}),
      .weights = {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}},
      .blockWeights = {{"attn_norm", "input_layernorm"},
                       {"attn_q", "self_attn.q_proj"},
                       {"attn_k", "self_attn.k_proj"},
                       {"attn_v", "self_attn.v_proj"},
                       {"attn_q_norm", "self_attn.q_norm"},
                       {"attn_k_norm", "self_attn.k_norm"},
                       {"attn_output", "self_attn.o_proj"},
                       {"ffn_norm", "post_attention_layernorm"},
                       {.name = "ffn_gate_inp", .folder = "mlp.gate", .keep = true},
                       {"ffn_gate_exps", "mlp.experts.#.gate_proj", "experts($, {expert_count})"},
                       {"ffn_up_exps", "mlp.experts.#.up_proj", "experts($, {expert_count})"},
                       {"ffn_down_exps", "mlp.experts.#.down_proj", "experts($, {expert_count})"}},
      .settingRules = {{"qwen3moe.expert_count", "", ""},
                       {"qwen3moe.expert_used_count", "", ""},
                       {"qwen3moe.expert_feed_forward_length", "", ""},
                       {"qwen3moe.expert_weights_norm", "", ""},
                       {"qwen3moe.expert_gating_func", "1", "experts are chosen by a softmax here"},
                       {"qwen3moe.expert_weights_scale", "0|1", "a factor of the experts' weights is not supported"},
                       {"qwen3moe.expert_shared_*", "0", "experts that every token takes are not supported"},
                       {"@num_experts", "", ""},
                       {"@num_experts_per_tok", "", ""},
                       {"@decoder_sparse_step", "1", kDense},
                       {"@mlp_only_layers", "[]", kDense},
                       {"@intermediate_size", "*", "of layers without experts, of which there are none"},
                       {"@router_aux_loss_coef", "*", "only training balances experts"},
                       {"@output_router_logits", "*", "what Python code gives back"},
                       {"@use_sliding_window", "false", kWindowed},
                       {"@sliding_window", "*", kWindow},
                       {"@max_window_layers", "*", kWindow},
                       {"@layer_types", "*", kWindow},
                       {"@hidden_act", "silu", "this activation function is not supported"}},
      .tensorRules = {{"*.ffn_gate_inp.weight", "", ""}, {"*_exps.weight", "", ""}, {"*.mlp.experts.*", "", ""}},
      .build = build};
  return family;
}
