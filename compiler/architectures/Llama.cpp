//===- Llama.cpp - Llama 2/3, SmolLM2, Mistral ----------------------------------------------------------------------===//
//
// Touvron et al., arXiv:2302.13971 and arXiv:2307.09288: pre-norm decoder, RoPE, grouped-query attention, SwiGLU.
// GGUF stores the rows of q and k so that rotated pairs are neighbours (style interleaved).
//===---------------------------------------------------------------------------------------------------------------===//
#include "compiler/architectures/Architectures.h"
#include <cmath>

using namespace heddle;
using namespace heddle::ir;

void heddle::buildLlama(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const int64_t layers = m.requiredInteger("block_count", 1, 1024);
  const int64_t width = m.requiredInteger("embedding_length", 16, 1 << 20);
  const int64_t heads = m.requiredInteger("attention.head_count", 1, 4096);
  const int64_t kvHeads = m.integer("attention.head_count_kv") ? m.requiredInteger("attention.head_count_kv", 1, heads) : heads;
  const int64_t headDim = m.integer("attention.key_length") ? m.requiredInteger("attention.key_length", 16, 4096) : width / heads;
  const int64_t rotated = m.integer("rope.dimension_count") ? m.requiredInteger("rope.dimension_count", 2, headDim) : headDim;
  const float eps = static_cast<float>(m.number("attention.layer_norm_rms_epsilon").value_or(1e-5));
  const int64_t window = m.integer("attention.sliding_window").value_or(0);
  std::vector<double> factors; // Llama 3's frequency scaling arrives as one factor per pair
  if (m.tensor("rope_freqs.weight"))
    for (float factor : m.vectorValues("rope_freqs.weight"))
      factors.push_back(factor);

  g.declareRope("rope", m.number("rope.freq_base").value_or(10000.0), rotated, m.number("rope.scaling.factor").value_or(1.0),
                factors);
  g.declareState("kv", layers, heads, kvHeads, headDim);
  g.beginStep();
  auto table = g.weight("token_embd.weight");
  auto x = g.embed(table);
  for (int64_t layer = 0; layer < layers; ++layer)
    x = g.block("decoder_block", layer, x,
                {"attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"},
                [&](mlir::Value x, const GraphBuilder::Weights &w) {
                  auto h = g.rmsNorm(x, w("attn_norm"), eps);
                  auto q = g.rope(g.linear(h, w("attn_q")), "rope", heads, RopeStyle::Interleaved);
                  auto k = g.rope(g.linear(h, w("attn_k")), "rope", kvHeads, RopeStyle::Interleaved);
                  auto v = g.linear(h, w("attn_v"));
                  float scale = 1.0f / std::sqrt(static_cast<float>(headDim));
                  auto a = g.attention(q, k, v, {"kv", heads, kvHeads, headDim, scale, window});
                  x = g.add(x, g.linear(a, w("attn_output")));
                  h = g.rmsNorm(x, w("ffn_norm"), eps);
                  auto gate = g.activate(g.linear(h, w("ffn_gate")), Activation::Silu);
                  return g.add(x, g.linear(g.mul(gate, g.linear(h, w("ffn_up"))), w("ffn_down")));
                });
  x = g.rmsNorm(g.wantedRows(x), g.weight("output_norm.weight"), eps);
  g.endStep(g.linear(x, m.tensor("output.weight") ? g.weight("output.weight") : table)); // tied embeddings have no output.weight
}
