//===- Phi3.cpp - Phi-3, Phi-3.5 and Phi-4 --------------------------------------------------------------------------===//
//
// Abdin et al., arXiv:2404.14219 and arXiv:2412.08905: a decoder as Llama's, whose q, k and v are one tensor (rows in this order)
// and whose gate and up are another (gate first, under the name of up in GGUF files); they are cut apart here. Halves of a head
// turn, in Phi-4-mini only its first features. LongRoPE and a window where the files name them.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Decoder.h"

using namespace heddle;
using namespace heddle::ir;

static void build(GraphBuilder &g) {
  const ModelSource &m = g.model();
  Decoder d = readDecoder(m);
  constexpr const char *kPart = "rope.partial_factor"; // of a head, in folders; files say how many features
  if (auto part = m.numberWithin(kPart, 1e-6, 1)) {
    d.rotated = static_cast<int64_t>(static_cast<double>(d.headDim) * *part);
    if (d.rotated % 16 || !d.rotated)
      m.refuse(kPart, "makes " + std::to_string(d.rotated) + " rotated features of a head; only multiples of 16 are supported");
  }
  const Rotation rotation = readRotation(m, d, "rope.freq_base", 10000.0, RopeScaling::Factors);
  const int64_t window = m.integerWithin("attention.sliding_window", 0, 1 << 30).value_or(0);

  const int64_t queries = d.heads * d.headDim, keys = d.kvHeads * d.headDim;
  const int64_t qkv = queries + 2 * keys, gateUp = 2 * d.feedForward; // rows of the whole tensors

  constexpr auto kNoBias = GraphBuilder::Bias::None;
  g.declareRope("rope", d.rotated, rotation);
  g.declareState("kv", d.layers, d.heads, d.kvHeads, d.headDim);
  g.beginEntry("step");
  auto table = g.weight("token_embd.weight", d.embeddings());
  auto x = g.embed(table);
  for (int64_t layer = 0; layer < d.layers; ++layer)
    x = g.block("decoder_block", layer, x,
                {{"attn_norm", d.features()},
                 {"attn_q", d.queries(), kNoBias, {"attn_qkv", 0, qkv}},
                 {"attn_k", d.keys(), kNoBias, {"attn_qkv", queries, qkv}},
                 {"attn_v", d.keys(), kNoBias, {"attn_qkv", queries + keys, qkv}},
                 {"attn_output", d.attended()},
                 {"ffn_norm", d.features()},
                 {"ffn_gate", d.up(), kNoBias, {"ffn_up", 0, gateUp}},
                 {"ffn_up", d.up(), kNoBias, {"ffn_up", d.feedForward, gateUp}},
                 {"ffn_down", d.down()}},
                [&](mlir::Value x, const GraphBuilder::Weights &w) {
                  auto h = g.rmsNorm(x, w("attn_norm"), d.eps);
                  auto q = g.rope(g.linear(h, w("attn_q")), "rope", d.heads, RopeStyle::Neox);
                  auto k = g.rope(g.linear(h, w("attn_k")), "rope", d.kvHeads, RopeStyle::Neox);
                  auto v = g.linear(h, w("attn_v"));
                  auto a = g.attention(q, k, v, {"kv", d.heads, d.kvHeads, d.headDim, d.scale, window});
                  x = g.add(x, g.linear(a, w("attn_output")));
                  h = g.rmsNorm(x, w("ffn_norm"), d.eps);
                  auto gate = g.activate(g.linear(h, w("ffn_gate")), Activation::Silu);
                  return g.add(x, g.linear(g.mul(gate, g.linear(h, w("ffn_up"))), w("ffn_down")));
                });
  x = g.rmsNorm(g.wantedRows(x), g.weight("output_norm.weight", d.features()), d.eps);
  g.endEntry(g.linear(x, m.tiedHead() ? table : g.weight("output.weight", d.embeddings())));
}

const Family &HEDDLE_FAMILY(Phi3)() {
  static const Family family{
      .name = "phi3",
      .modelTypes = {{"phi3"}},
      .values = decoderValues({{"attention.layer_norm_rms_epsilon", {"rms_norm_eps"}, {1e-5}},
                               {"attention.sliding_window", {"sliding_window"}},
                               {"context_length", {"max_position_embeddings"}, {int64_t{4096}}},
                               {"rope.partial_factor", {"partial_rotary_factor", "rope_parameters.partial_rotary_factor"}},
                               {"rope.scaling.original_context_length",
                                {"original_max_position_embeddings", "rope_scaling.original_max_position_embeddings",
                                 "rope_parameters.original_max_position_embeddings"},
                                {int64_t{4096}}}}),
      .weights = {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}},
      .blockWeights = {{"attn_norm", "input_layernorm"},
                       {"attn_qkv", "self_attn.qkv_proj"},
                       {"attn_output", "self_attn.o_proj"},
                       {"ffn_norm", "post_attention_layernorm"},
                       {"ffn_up", "mlp.gate_up_proj"},
                       {"ffn_down", "mlp.down_proj"}},
      .settingRules = {{"@partial_rotary_factor", "", ""}, // read
                       {"@hidden_act", "silu|swish", "this activation function is not supported"},
                       {"@full_attn_mod", "1|null", "layers with other attention are not supported"},
                       {"@interpolate_factor", "1|null", "this kind of RoPE scaling is not supported"},
                       {"@lm_head_bias", "false", "biases are not supported: use a model without them"}},
      .tensorRules = {{"*.attn_qkv.weight", "", ""}},
      .build = build};
  return family;
}
