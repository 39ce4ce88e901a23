//===- Gemma3.cpp - Gemma 3, text -----------------------------------------------------------------------------------===//
//
// Gemma Team, arXiv:2503.19786: norms before and after each half ("sandwich"), QK norm, GeGLU, five sliding-window layers to one
// full layer, each kind with its own RoPE base, embeddings scaled by √width. GGUF stores norm weights with the +1 added, folders
// without.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Decoder.h"
#include <cmath>

using namespace heddle;
using namespace heddle::ir;

/// The 27B scales queries by its width shared out to the heads, 168, not by their size, 128. Folders say so; GGUF files do not,
/// and like llama.cpp we know it by its 62 layers.
static float attentionScale(const ModelSource &m, const Decoder &d) {
  if (auto scalar = m.numberWithin("attention.query_scalar", 1e-6, 1e6))
    return 1.0f / std::sqrt(static_cast<float>(*scalar));
  bool is27B = d.layers == 62 && !m.number("attention.scale");
  return is27B ? 1.0f / std::sqrt(static_cast<float>(d.width) / static_cast<float>(d.heads)) : d.scale;
}

static void build(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const Decoder d = readDecoder(m);
  const float scale = attentionScale(m, d);
  const int64_t window = m.integerWithin("attention.sliding_window", 0, 1 << 30).value_or(0);
  std::vector<bool> windowed = readWindowLayers(m, d.layers, 6); // every sixth layer sees everything (section 2.1)
  if (window == 0)
    windowed.assign(windowed.size(), false);
  // Scaling is for the layers that see everything (section 3).
  const Rotation full = readRotation(m, d, "rope.freq_base", 1e6, RopeScaling::Linear);
  const Rotation local = readRotation(m, d, "rope.freq_base_swa", 1e4, RopeScaling::None);

  g.declareRope("rope_full", d.rotated, full);
  g.declareRope("rope_window", d.rotated, local);
  g.declareState("kv", d.layers, d.heads, d.kvHeads, d.headDim);
  g.beginEntry("step");
  auto table = g.weight("token_embd.weight", d.embeddings());
  auto x = g.embed(table, std::sqrt(static_cast<float>(d.width)));
  for (int64_t layer = 0; layer < d.layers; ++layer) {
    const bool all = !windowed[static_cast<size_t>(layer)];
    x = g.block(
        all ? "full_block" : "window_block", layer, x,
        {{"attn_norm", d.features()},
         {"attn_q", d.queries()},
         {"attn_k", d.keys()},
         {"attn_v", d.keys()},
         {"attn_q_norm", d.headFeatures()},
         {"attn_k_norm", d.headFeatures()},
         {"attn_output", d.attended()},
         {"post_attention_norm", d.features()},
         {"ffn_norm", d.features()},
         {"ffn_gate", d.up()},
         {"ffn_up", d.up()},
         {"ffn_down", d.down()},
         {"post_ffw_norm", d.features()}},
        [&](mlir::Value x, const GraphBuilder::Weights &w) {
          const char *rope = all ? "rope_full" : "rope_window";
          auto h = g.rmsNorm(x, w("attn_norm"), d.eps);
          auto q = g.rope(g.rmsNorm(g.linear(h, w("attn_q")), w("attn_q_norm"), d.eps, d.heads), rope, d.heads, RopeStyle::Neox);
          auto k =
              g.rope(g.rmsNorm(g.linear(h, w("attn_k")), w("attn_k_norm"), d.eps, d.kvHeads), rope, d.kvHeads, RopeStyle::Neox);
          auto v = g.linear(h, w("attn_v"));
          auto a = g.attention(q, k, v, {"kv", d.heads, d.kvHeads, d.headDim, scale, all ? 0 : window, d.softCap});
          x = g.add(x, g.rmsNorm(g.linear(a, w("attn_output")), w("post_attention_norm"), d.eps));
          h = g.rmsNorm(x, w("ffn_norm"), d.eps);
          auto gate = g.activate(g.linear(h, w("ffn_gate")), Activation::GeluTanh);
          auto down = g.linear(g.mul(gate, g.linear(h, w("ffn_up"))), w("ffn_down"));
          return g.add(x, g.rmsNorm(down, w("post_ffw_norm"), d.eps));
        });
  }
  x = g.rmsNorm(g.wantedRows(x), g.weight("output_norm.weight", d.features()), d.eps);
  g.endEntry(g.linear(x, m.tiedHead() ? table : g.weight("output.weight", d.embeddings())));
}

/// Of both kinds of folder; text_config leaves out what is the default of its class.
static std::vector<ValueName> values() {
  return decoderValues({
      {"embedding_length", {"hidden_size"}, {int64_t{2304}}},
      {"feed_forward_length", {"intermediate_size"}, {int64_t{9216}}},
      {"block_count", {"num_hidden_layers"}, {int64_t{26}}},
      {"attention.head_count", {"num_attention_heads"}, {int64_t{8}}},
      {"attention.head_count_kv", {"num_key_value_heads"}, {int64_t{4}}},
      {"attention.key_length", {"head_dim"}, {int64_t{256}}},
      {"attention.query_scalar", {"query_pre_attn_scalar"}, {int64_t{256}}},
      {"attention.sliding_window", {"sliding_window"}, {int64_t{4096}}},
      {"attention.sliding_window_pattern", {"sliding_window_pattern", "_sliding_window_pattern"}},
      {"layer_types", {"layer_types"}},
      {"attn_logit_softcapping", {"attn_logit_softcapping"}},
      {"context_length", {"max_position_embeddings"}, {int64_t{131072}}},
      {"vocab_size", {"vocab_size"}, {int64_t{262208}}},
      {"rope.freq_base",
       {"rope_theta", "rope_parameters.full_attention.rope_theta"},
       {},
       {"rope.freq_base", "rope.global.freq_base"}},
      {"rope.freq_base_swa",
       {"rope_local_base_freq", "rope_parameters.sliding_attention.rope_theta"},
       {},
       {"rope.freq_base_swa", "rope.local.freq_base"}},
      {"rope.scaling.type",
       {"rope_scaling.rope_type", "rope_scaling.type", "rope_parameters.full_attention.rope_type",
        "rope_parameters.full_attention.type"}},
      {"rope.scaling.factor",
       {"rope_scaling.factor", "rope_parameters.full_attention.factor"},
       {},
       {"rope.scaling.factor", "rope.scale_linear"}},
      {"tie_word_embeddings", {"tie_word_embeddings"}, {true}},
  });
}

const Family &HEDDLE_FAMILY(Gemma3)() {
  constexpr const char *kPlusOne = "add($, 1)", *kImages = "the image encoder; only text is read";
  static const Family family{
      .name = "gemma3",
      .modelTypes = {{"gemma3_text"}, {"gemma3", "text_config."}},
      .values = values(),
      .weights = {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm", kPlusOne}, {"output", "lm_head"}},
      .blockWeights = {{"attn_norm", "input_layernorm", kPlusOne},
                       {"attn_q", "self_attn.q_proj"},
                       {"attn_k", "self_attn.k_proj"},
                       {"attn_v", "self_attn.v_proj"},
                       {"attn_q_norm", "self_attn.q_norm", kPlusOne},
                       {"attn_k_norm", "self_attn.k_norm", kPlusOne},
                       {"attn_output", "self_attn.o_proj"},
                       {"post_attention_norm", "post_attention_layernorm", kPlusOne},
                       {"ffn_norm", "pre_feedforward_layernorm", kPlusOne},
                       {"ffn_gate", "mlp.gate_proj"},
                       {"ffn_up", "mlp.up_proj"},
                       {"ffn_down", "mlp.down_proj"},
                       {"post_ffw_norm", "post_feedforward_layernorm", kPlusOne}},
      .places = {"model.", "language_model.model.", "model.language_model.", ""},
      .settingRules = {{"gemma3.vision.*", "*", kImages},
                       {"gemma3.mm.*", "*", kImages},
                       {"vision_config*", "*", kImages},
                       {"mm_tokens_per_image", "*", kImages},
                       {"boi_token_index", "*", kImages},
                       {"eoi_token_index", "*", kImages},
                       {"image_token_index", "*", kImages},
                       {"boi_token_id", "*", kImages},
                       {"eoi_token_id", "*", kImages},
                       {"image_token_id", "*", kImages},
                       {"@hidden_activation", "gelu_pytorch_tanh", "this activation function is not supported"},
                       {"@hidden_act", "gelu_pytorch_tanh", "this activation function is not supported"},
                       {"tie_word_embeddings", "true", "an output head beside text_config is not supported"},
                       {"@rope_parameters.sliding_attention.type", "default|null", "scaling of windowed layers is not supported"},
                       {"@rope_parameters.sliding_attention.rope_type", "default|null",
                        "scaling of windowed layers is not supported"},
                       {"@final_logit_softcapping", "0", "a soft cap of logits is not supported"},
                       {"@use_bidirectional_attention", "false", "attention to later tokens is not supported"},
                       {"@sliding_window_pattern", "*", "layer_types says more"},
                       {"@_sliding_window_pattern", "*", "layer_types says more"}},
      .tensorRules = {{"v.*", "*", kImages},
                      {"mm.*", "*", kImages},
                      {"vision_tower.*", "*", kImages},
                      {"multi_modal_projector.*", "*", kImages},
                      {"model.vision_tower.*", "*", kImages},
                      {"model.multi_modal_projector.*", "*", kImages}},
      .build = build};
  return family;
}
