//===- Llama.cpp - Llama 2/3, SmolLM2, Mistral, Mixtral --------------------------------------------------------------===//
//
// Touvron et al., arXiv:2302.13971 and arXiv:2307.09288: pre-norm decoder, RoPE, grouped-query attention, SwiGLU. Mixtral (Jiang
// et al., arXiv:2401.04088) has a mixture of experts in place of each feed-forward, and in files the same name.
// GGUF stores the rows of q and k so that rotated pairs are neighbours (style interleaved); folders keep the two halves of a head
// apart, so their rows are permuted.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Decoder.h"

using namespace heddle;
using namespace heddle::ir;

static void build(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const Decoder d = readDecoder(m);
  const Rotation rotation = readRotation(m, d, "rope.freq_base", 10000.0, RopeScaling::Factors);
  const int64_t window = m.integerWithin("attention.sliding_window", 0, 1 << 30).value_or(0);
  const auto embeddingScale = static_cast<float>(m.numberWithin("embedding_scale", 1e-6, 1e6).value_or(1));
  const int64_t experts = m.integerWithin("expert_count", 0, 4096).value_or(0);
  const Experts mixture = experts ? readExperts(m, "feed_forward_length") : Experts();
  const auto ofAttention = readBiases(m, "attention_bias"), ofFeedForward = readBiases(m, "mlp_bias");

  g.declareRope("rope", d.rotated, rotation);
  g.declareState("kv", d.layers, d.heads, d.kvHeads, d.headDim);
  g.beginEntry("step");
  auto table = g.weight("token_embd.weight", d.embeddings());
  auto x = g.embed(table, embeddingScale);
  std::vector<GraphBuilder::Role> roles = {
      {"attn_norm", d.features()},       {"attn_q", d.queries(), ofAttention},       {"attn_k", d.keys(), ofAttention},
      {"attn_v", d.keys(), ofAttention}, {"attn_output", d.attended(), ofAttention}, {"ffn_norm", d.features()}};
  if (experts)
    roles.insert(roles.end(), {{"ffn_gate_inp", mixture.router(d)},
                               {"ffn_gate_exps", mixture.up(d)},
                               {"ffn_up_exps", mixture.up(d)},
                               {"ffn_down_exps", mixture.down(d)}});
  else
    roles.insert(roles.end(),
                 {{"ffn_gate", d.up(), ofFeedForward}, {"ffn_up", d.up(), ofFeedForward}, {"ffn_down", d.down(), ofFeedForward}});
  for (int64_t layer = 0; layer < d.layers; ++layer)
    x = g.block("decoder_block", layer, x, roles, [&](mlir::Value x, const GraphBuilder::Weights &w) {
      auto h = g.rmsNorm(x, w("attn_norm"), d.eps);
      auto q = g.rope(g.linear(h, w("attn_q")), "rope", d.heads, RopeStyle::Interleaved);
      auto k = g.rope(g.linear(h, w("attn_k")), "rope", d.kvHeads, RopeStyle::Interleaved);
      auto v = g.linear(h, w("attn_v"));
      auto a = g.attention(q, k, v, {"kv", d.heads, d.kvHeads, d.headDim, d.scale, window, d.softCap});
      x = g.add(x, g.linear(a, w("attn_output")));
      h = g.rmsNorm(x, w("ffn_norm"), d.eps);
      if (!experts) {
        auto gate = g.activate(g.linear(h, w("ffn_gate")), Activation::Silu);
        return g.add(x, g.linear(g.mul(gate, g.linear(h, w("ffn_up"))), w("ffn_down")));
      }
      auto chosen = g.chooseExperts(g.linear(h, w("ffn_gate_inp")), mixture.chosen);
      auto gate = g.activate(g.expertLinear(h, w("ffn_gate_exps"), chosen), Activation::Silu);
      auto each = g.expertLinear(g.mul(gate, g.expertLinear(h, w("ffn_up_exps"), chosen)), w("ffn_down_exps"), chosen);
      return g.add(x, g.sumExperts(each, chosen));
    });
  x = g.rmsNorm(g.wantedRows(x), g.weight("output_norm.weight", d.features()), d.eps);
  g.endEntry(g.linear(x, m.tiedHead() ? table : g.weight("output.weight", d.embeddings())));
}

const Family &HEDDLE_FAMILY(Llama)() {
  static const Family family{
      .name = "llama",
      .modelTypes = {{"llama"},
                     {"mistral",
                      "",
                      {{"attention.head_count_kv", {"num_key_value_heads"}, {int64_t{8}}},
                       {"attention.sliding_window", {"sliding_window"}, {int64_t{4096}}},
                       {"context_length", {"max_position_embeddings"}, {int64_t{131072}}}}},
                     {"mixtral",
                      "",
                      {{"attention.head_count_kv", {"num_key_value_heads"}, {int64_t{8}}},
                       {"attention.layer_norm_rms_epsilon", {"rms_norm_eps"}, {1e-5}},
                       {"attention.sliding_window", {"sliding_window"}},
                       {"context_length", {"max_position_embeddings"}, {int64_t{131072}}},
                       {"expert_count", {"num_local_experts"}, {int64_t{8}}},
                       {"expert_used_count", {"num_experts_per_tok"}, {int64_t{2}}},
                       {"rope.freq_base", {"rope_theta", "rope_parameters.rope_theta"}, {1e6}}}}},
      .values = decoderValues({{"attention_bias", {"attention_bias"}}, {"mlp_bias", {"mlp_bias"}}}),
      .weights = {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}},
      .blockWeights = {{"attn_norm", "input_layernorm"},
                       {"attn_q", "self_attn.q_proj", "permute($, {attention.head_count})"},
                       {"attn_k", "self_attn.k_proj", "permute($, {attention.head_count_kv|attention.head_count})"},
                       {"attn_v", "self_attn.v_proj"},
                       {"attn_output", "self_attn.o_proj"},
                       {"ffn_norm", "post_attention_layernorm"},
                       {"ffn_gate", "mlp.gate_proj"},
                       {"ffn_up", "mlp.up_proj"},
                       {"ffn_down", "mlp.down_proj"},
                       {.name = "ffn_gate_inp", .folder = "block_sparse_moe.gate", .keep = true},
                       {"ffn_gate_exps", "block_sparse_moe.experts.#.w1", "experts($, {expert_count})"},
                       {"ffn_up_exps", "block_sparse_moe.experts.#.w3", "experts($, {expert_count})"},
                       {"ffn_down_exps", "block_sparse_moe.experts.#.w2", "experts($, {expert_count})"}},
      .settingRules = {{"llama.tensor_data_layout", "Meta AI original pth", "rows of q and k are expected in that order"},
                       {"@is_llama_config", "true", "it is no llama"},
                       {"@rope_interleaved", "false", "pairs in this order are not expected in a folder"},
                       {"@hidden_act", "silu|swish", "this activation function is not supported"},
                       {"llama.expert_count", "0", ""},
                       {"llama.expert_used_count", "0", ""},
                       {"@num_local_experts", "", ""},
                       {"@num_experts_per_tok", "", ""},
                       {"@router_aux_loss_coef", "*", "only training balances experts"},
                       {"@router_jitter_noise", "*", "only training adds noise to the router"},
                       {"@output_router_logits", "*", "what Python code gives back"}},
      .tensorRules = {{"*.ffn_gate_inp.weight", "", ""}, {"*_exps.weight", "", ""}, {"*.block_sparse_moe.*", "", ""}},
      .build = build};
  return family;
}
