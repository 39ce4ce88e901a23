//===- Llama.cpp - Llama 2/3, SmolLM2, Mistral ----------------------------------------------------------------------===//
//
// Touvron et al., arXiv:2302.13971 and arXiv:2307.09288: pre-norm decoder, RoPE, grouped-query attention, SwiGLU.
// GGUF stores the rows of q and k so that rotated pairs are neighbours (style interleaved).
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include "compiler/architectures/Decoder.h"

using namespace heddle;
using namespace heddle::ir;

void heddle::buildLlama(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const Decoder d = readDecoder(m);
  const Rotation rotation = readRotation(m, d, {"rope.freq_base"}, 10000.0, /*scaled=*/true);
  const int64_t window = m.integerWithin("attention.sliding_window", 0, 1 << 30).value_or(0);
  const auto embeddingScale = static_cast<float>(m.numberWithin("embedding_scale", 1e-6, 1e6).value_or(1));

  g.declareRope("rope", rotation.base, d.rotated, rotation.linearScale, rotation.factors);
  g.declareState("kv", d.layers, d.heads, d.kvHeads, d.headDim);
  g.beginEntry("step");
  auto table = g.weight("token_embd.weight", d.embeddings());
  auto x = g.embed(table, embeddingScale);
  for (int64_t layer = 0; layer < d.layers; ++layer)
    x = g.block("decoder_block", layer, x,
                {{"attn_norm", d.features()},
                 {"attn_q", d.queries()},
                 {"attn_k", d.keys()},
                 {"attn_v", d.keys()},
                 {"attn_output", d.attended()},
                 {"ffn_norm", d.features()},
                 {"ffn_gate", d.up()},
                 {"ffn_up", d.up()},
                 {"ffn_down", d.down()}},
                [&](mlir::Value x, const GraphBuilder::Weights &w) {
                  auto h = g.rmsNorm(x, w("attn_norm"), d.eps);
                  auto q = g.rope(g.linear(h, w("attn_q")), "rope", d.heads, RopeStyle::Interleaved);
                  auto k = g.rope(g.linear(h, w("attn_k")), "rope", d.kvHeads, RopeStyle::Interleaved);
                  auto v = g.linear(h, w("attn_v"));
                  auto a = g.attention(q, k, v, {"kv", d.heads, d.kvHeads, d.headDim, d.scale, window, d.softCap});
                  x = g.add(x, g.linear(a, w("attn_output")));
                  h = g.rmsNorm(x, w("ffn_norm"), d.eps);
                  auto gate = g.activate(g.linear(h, w("ffn_gate")), Activation::Silu);
                  return g.add(x, g.linear(g.mul(gate, g.linear(h, w("ffn_up"))), w("ffn_down")));
                });
  x = g.rmsNorm(g.wantedRows(x), g.weight("output_norm.weight", d.features()), d.eps);
  // Tied embeddings have no output.weight.
  g.endEntry(g.linear(x, m.tensor("output.weight") ? g.weight("output.weight", d.embeddings()) : table));
}
