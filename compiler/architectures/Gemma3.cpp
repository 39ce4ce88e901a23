//===- Gemma3.cpp - Gemma 3, text -----------------------------------------------------------------------------------===//
//
// Gemma Team, arXiv:2503.19786: norms before and after each half ("sandwich"), QK norm, GeGLU, five sliding-window layers to one
// full layer, each kind with its own RoPE base, embeddings scaled by √width. GGUF stores norm weights with the +1 added.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include <cmath>

using namespace heddle;
using namespace heddle::ir;

void heddle::buildGemma3(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const int64_t layers = m.requiredInteger("block_count", 1, 1024);
  const int64_t width = m.requiredInteger("embedding_length", 16, 1 << 20);
  const int64_t heads = m.requiredInteger("attention.head_count", 1, 4096);
  const int64_t kvHeads = m.requiredInteger("attention.head_count_kv", 1, heads);
  const int64_t headDim = m.requiredInteger("attention.key_length", 16, 4096);
  const int64_t window = m.requiredInteger("attention.sliding_window", 1, 1 << 24);
  const float eps = static_cast<float>(m.number("attention.layer_norm_rms_epsilon").value_or(1e-6));
  const int64_t period = 6; // every sixth layer sees everything (section 2.1)

  g.declareRope("rope_full", m.number("rope.freq_base").value_or(1e6), headDim, m.number("rope.scaling.factor").value_or(1.0));
  g.declareRope("rope_window", m.number("rope.local.freq_base").value_or(1e4), headDim, 1.0);
  g.declareState("kv", layers, heads, kvHeads, headDim);
  g.beginStep();
  auto table = g.weight("token_embd.weight");
  auto x = g.embed(table, std::sqrt(static_cast<float>(width)));
  for (int64_t layer = 0; layer < layers; ++layer) {
    bool full = layer % period == period - 1;
    x = g.block(full ? "full_block" : "window_block", layer, x,
                {"attn_norm", "attn_q", "attn_k", "attn_v", "attn_q_norm", "attn_k_norm", "attn_output", "post_attention_norm",
                 "ffn_norm", "ffn_gate", "ffn_up", "ffn_down", "post_ffw_norm"},
                [&](mlir::Value x, const GraphBuilder::Weights &w) {
                  const char *rope = full ? "rope_full" : "rope_window";
                  auto h = g.rmsNorm(x, w("attn_norm"), eps);
                  auto q =
                      g.rope(g.rmsNorm(g.linear(h, w("attn_q")), w("attn_q_norm"), eps, heads), rope, heads, RopeStyle::Neox);
                  auto k =
                      g.rope(g.rmsNorm(g.linear(h, w("attn_k")), w("attn_k_norm"), eps, kvHeads), rope, kvHeads, RopeStyle::Neox);
                  auto v = g.linear(h, w("attn_v"));
                  float scale = 1.0f / std::sqrt(static_cast<float>(headDim));
                  auto a = g.attention(q, k, v, {"kv", heads, kvHeads, headDim, scale, full ? 0 : window});
                  x = g.add(x, g.rmsNorm(g.linear(a, w("attn_output")), w("post_attention_norm"), eps));
                  h = g.rmsNorm(x, w("ffn_norm"), eps);
                  auto gate = g.activate(g.linear(h, w("ffn_gate")), Activation::GeluTanh);
                  auto down = g.linear(g.mul(gate, g.linear(h, w("ffn_up"))), w("ffn_down"));
                  return g.add(x, g.rmsNorm(down, w("post_ffw_norm"), eps));
                });
  }
  x = g.rmsNorm(g.wantedRows(x), g.weight("output_norm.weight"), eps);
  g.endStep(g.linear(x, m.tensor("output.weight") ? g.weight("output.weight") : table));
}
