//===- Gemma3.cpp - Gemma 3, text -----------------------------------------------------------------------------------===//
//
// Gemma Team, arXiv:2503.19786: norms before and after each half ("sandwich"), QK norm, GeGLU, five sliding-window layers to one
// full layer, each kind with its own RoPE base, embeddings scaled by √width. GGUF stores norm weights with the +1 added.
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Decoder.h"
#include <cmath>

using namespace heddle;
using namespace heddle::ir;

/// The 27B scales queries by its width shared out to the heads, 168, not by their size, 128. Its files do not say so; like
/// llama.cpp we know it by its 62 layers.
static float attentionScale(const ModelSource &m, const Decoder &d) {
  bool is27B = d.layers == 62 && !m.number("attention.scale");
  return is27B ? 1.0f / std::sqrt(static_cast<float>(d.width) / static_cast<float>(d.heads)) : d.scale;
}

void heddle::buildGemma3(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const Decoder d = readDecoder(m);
  const float scale = attentionScale(m, d);
  const int64_t window = m.integerWithin("attention.sliding_window", 0, 1 << 30).value_or(0);
  std::vector<bool> windowed = readWindowLayers(m, d.layers, 6); // every sixth layer sees everything (section 2.1)
  if (window == 0)
    windowed.assign(windowed.size(), false);
  // Of each base a newer and an older spelling. Scaling is for the layers that see everything (section 3).
  const Rotation full = readRotation(m, d, {"rope.freq_base", "rope.global.freq_base"}, 1e6, /*scaled=*/true);
  const Rotation local = readRotation(m, d, {"rope.freq_base_swa", "rope.local.freq_base"}, 1e4, /*scaled=*/false);

  g.declareRope("rope_full", full.base, d.rotated, full.linearScale);
  g.declareRope("rope_window", local.base, d.rotated, local.linearScale);
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
  g.endEntry(g.linear(x, m.tensor("output.weight") ? g.weight("output.weight", d.embeddings()) : table));
}
