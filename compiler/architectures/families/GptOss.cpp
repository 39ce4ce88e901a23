//===- GptOss.cpp - gpt-oss -----------------------------------------------------------------------------------------===//
//
// OpenAI, arXiv:2508.10925: every other layer sees a window only, each head has a sink, biases are everywhere, and experts have a
// gate of their own kind. Folders keep experts in MXFP4, codes apart from exponents, or transposed in BF16; the rows of gate and
// up take turns in one tensor there.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Decoder.h"

using namespace heddle;
using namespace heddle::ir;

static void build(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const Decoder d = readDecoder(m);
  const Experts experts = readExperts(m, "expert_feed_forward_length");
  const Rotation rotation = readRotation(m, d, "rope.freq_base", 150000.0, RopeScaling::Factors);
  const int64_t window = m.requiredInteger("attention.sliding_window", 1, 1 << 30);
  const std::vector<bool> windows = readWindowLayers(m, d.layers, 2);
  if (auto limit = m.number("swiglu_limit"); limit && *limit != 7)
    m.refuse("swiglu_limit", "is another one than 7, which is not supported");
  constexpr auto kBias = GraphBuilder::Bias::Needed;
  const auto ofAttention = m.flag("attention_bias").value_or(true) ? kBias : GraphBuilder::Bias::None;

  g.declareRope("rope", d.rotated, rotation);
  g.declareState("kv", d.layers, d.heads, d.kvHeads, d.headDim);
  g.beginEntry("step");
  auto table = g.weight("token_embd.weight", d.embeddings());
  auto x = g.embed(table);
  for (int64_t layer = 0; layer < d.layers; ++layer) {
    const bool windowed = windows[static_cast<size_t>(layer)];
    x = g.block(windowed ? "window_block" : "full_block", layer, x,
                {{"attn_norm", d.features()},
                 {"attn_q", d.queries(), ofAttention},
                 {"attn_k", d.keys(), ofAttention},
                 {"attn_v", d.keys(), ofAttention},
                 {"attn_sinks", {{d.heads}, "attention.head_count"}},
                 {"attn_output", d.attended(), ofAttention},
                 {"post_attention_norm", d.features()},
                 {"ffn_gate_inp", experts.router(d), kBias},
                 {"ffn_gate_exps", experts.up(d), kBias},
                 {"ffn_up_exps", experts.up(d), kBias},
                 {"ffn_down_exps", experts.down(d), kBias}},
                [&](mlir::Value x, const GraphBuilder::Weights &w) {
                  auto h = g.rmsNorm(x, w("attn_norm"), d.eps);
                  auto q = g.rope(g.linear(h, w("attn_q")), "rope", d.heads, RopeStyle::Neox);
                  auto k = g.rope(g.linear(h, w("attn_k")), "rope", d.kvHeads, RopeStyle::Neox);
                  auto v = g.linear(h, w("attn_v"));
                  GraphBuilder::Attention how{"kv", d.heads, d.kvHeads, d.headDim, d.scale};
                  how.window = windowed ? window : 0;
                  how.sinks = w("attn_sinks");
                  x = g.add(x, g.linear(g.attention(q, k, v, how), w("attn_output")));
                  h = g.rmsNorm(x, w("post_attention_norm"), d.eps);
                  auto chosen = g.chooseExperts(g.linear(h, w("ffn_gate_inp")), experts.chosen);
                  auto gate = g.activate(g.expertLinear(h, w("ffn_gate_exps"), chosen), Activation::OssGate);
                  auto up = g.activate(g.expertLinear(h, w("ffn_up_exps"), chosen), Activation::OssUp);
                  return g.add(x, g.sumExperts(g.expertLinear(g.mul(gate, up), w("ffn_down_exps"), chosen), chosen));
                });
  }
  x = g.rmsNorm(g.wantedRows(x), g.weight("output_norm.weight", d.features()), d.eps);
  g.endEntry(g.linear(x, m.tiedHead() ? table : g.weight("output.weight", d.embeddings())));
}

const Family &HEDDLE_FAMILY(GptOss)() {
  static const Family family{
      .name = "gpt-oss",
      .modelTypes = {{"gpt_oss"}},
      .values = decoderValues({{"attention_bias", {"attention_bias"}, {true}},
                               {"attention.layer_norm_rms_epsilon", {"rms_norm_eps"}, {1e-5}},
                               {"attention.sliding_window", {"sliding_window"}, {int64_t{128}}},
                               {"layer_types", {"layer_types"}},
                               {"expert_count", {"num_local_experts"}, {int64_t{128}}},
                               {"expert_used_count", {"num_experts_per_tok", "experts_per_token"}, {int64_t{4}}},
                               {"expert_feed_forward_length", {"intermediate_size"}, {int64_t{2880}}},
                               {"swiglu_limit", {"swiglu_limit"}, {7.0}}}),
      .weights = {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}},
      .blockWeights = {{"attn_norm", "input_layernorm"},
                       {"attn_q", "self_attn.q_proj"},
                       {"attn_k", "self_attn.k_proj"},
                       {"attn_v", "self_attn.v_proj"},
                       {.name = "attn_sinks", .folder = "self_attn.sinks", .exact = true},
                       {"attn_output", "self_attn.o_proj"},
                       {"post_attention_norm", "post_attention_layernorm"},
                       {.name = "ffn_gate_inp", .folder = "mlp.router", .keep = true},
                       {"ffn_gate_exps", "mlp.experts.gate_up_proj_blocks", "rows(mxfp4_blocks($), 0, end, 2)",
                        "columns($, 0, end, 2)", true, "mlp.experts.gate_up_proj_bias"},
                       {"ffn_gate_exps", "mlp.experts.gate_up_proj", "rows(transpose($), 0, end, 2)", "columns($, 0, end, 2)",
                        true, "mlp.experts.gate_up_proj_bias"},
                       {"ffn_up_exps", "mlp.experts.gate_up_proj_blocks", "rows(mxfp4_blocks($), 1, end, 2)",
                        "columns($, 1, end, 2)", true, "mlp.experts.gate_up_proj_bias"},
                       {"ffn_up_exps", "mlp.experts.gate_up_proj", "rows(transpose($), 1, end, 2)", "columns($, 1, end, 2)", true,
                        "mlp.experts.gate_up_proj_bias"},
                       {"ffn_down_exps", "mlp.experts.down_proj_blocks", "mxfp4_blocks($)", "$", true,
                        "mlp.experts.down_proj_bias"},
                       {"ffn_down_exps", "mlp.experts.down_proj", "transpose($)", "$", true, "mlp.experts.down_proj_bias"}},
      .settingRules = {{"gpt-oss.expert_count", "", ""},
                       {"gpt-oss.expert_used_count", "", ""},
                       {"gpt-oss.expert_feed_forward_length", "", ""},
                       {"gpt-oss.expert_gating_func", "1|3", "experts are chosen by a softmax here"},
                       {"@num_local_experts", "", ""},
                       {"@num_experts*", "", ""},
                       {"@initial_context_length", "*", "as original_max_position_embeddings, which YaRN computes with"},
                       {"@router_aux_loss_coef", "*", "only training balances experts"},
                       {"@output_router_logits", "*", "what Python code gives back"},
                       {"@hidden_act", "silu", "this activation function is not supported"}},
      .tensorRules = {{"*.ffn_gate_inp.*", "", ""}, {"*_exps.*", "", ""}, {"*.mlp.experts.*", "", ""}},
      .build = build};
  return family;
}
