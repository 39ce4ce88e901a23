//===- Encoder.cpp - what encoders have in common ---------------------------------------------------------------------===//
#include "compiler/architectures/Encoder.h"
#include <algorithm>
#include <optional>

using namespace heddle;
using namespace heddle::ir;

constexpr const char *kModules = "pooling.modules";

ir::Activation heddle::readActivation(const ModelSource &m, std::string_view key) {
  const std::string name = m.text(key).value_or("gelu");
  if (name == "gelu")
    return Activation::Gelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh")
    return Activation::GeluTanh;
  if (name == "relu")
    return Activation::Relu;
  if (name == "silu" || name == "swish")
    return Activation::Silu;
  m.refuse(key, "is " + quotedForError(name) + ": this activation function is not supported: use a model without it");
}

std::vector<ValueName> heddle::encoderValues(std::vector<ValueName> own) {
  const std::vector<ValueName> common = {
      {"attention.head_count_kv", {}},
      {"attention.key_length", {}},
      {"attention.layer_norm_rms_epsilon", {"layer_norm_eps"}, {1e-12}, {"attention.layer_norm_epsilon"}},
      {"context_length", {"max_position_embeddings"}, {int64_t{512}}},
      {"token_type_count", {"type_vocab_size"}, {int64_t{2}}},
      {"activation", {"hidden_act"}, {std::string("gelu")}},
      {"pooling_type", {}},
      {kModules, {"sentence_transformers.modules"}},
      {"pooling.first", {"sentence_transformers.pooling.pooling_mode_cls_token"}},
      {"pooling.mean", {"sentence_transformers.pooling.pooling_mode_mean_tokens"}},
      {"pooling.last", {"sentence_transformers.pooling.pooling_mode_lasttoken"}},
      {"pooling.max", {"sentence_transformers.pooling.pooling_mode_max_tokens"}},
      {"pooling.root_mean", {"sentence_transformers.pooling.pooling_mode_mean_sqrt_len_tokens"}},
      {"pooling.weighted_mean", {"sentence_transformers.pooling.pooling_mode_weightedmean_tokens"}}};
  own.insert(own.end(), common.begin(), common.end()); // the first of a name counts
  return decoderValues(std::move(own));
}

/// The table's rows: GGUF files leave their number to it.
static int64_t rowsOf(const ModelSource &m, const char *table) {
  const std::optional<TensorInfo> info = m.tensor(table);
  return info && info->shape.size() == 2 ? info->shape.front() : 1;
}

void heddle::buildPostNormEncoder(GraphBuilder &g) {
  const ModelSource &m = g.model();
  const Decoder d = readDecoder(m);
  const bool gguf = m.checkpoint().kind() == Checkpoint::Kind::Gguf;
  const Shape places{{*m.integer("context_length") - m.family().firstPosition, d.width}, "context_length × embedding_length"};
  const bool kinds = std::ranges::find(m.family().weights, "token_types", &WeightName::name) != m.family().weights.end();
  const Activation activation = readActivation(m, "activation");
  constexpr auto kBias = GraphBuilder::Bias::Needed;

  g.beginEntry("embed");
  auto x = g.embed(g.weight("token_embd.weight", d.embeddings()));
  if (kinds) {
    const int64_t count = gguf ? rowsOf(m, "token_types.weight") : m.requiredInteger("token_type_count", 1, 1 << 16);
    x = g.add(x, g.embedTypes(g.weight("token_types.weight", {{count, d.width}, "token_type_count × embedding_length"})));
  }
  x = g.add(x, g.embedPositions(g.weight("position_embd.weight", places)));
  x = g.layerNorm(x, g.weight("token_embd_norm.weight", d.features(), kBias), d.eps);
  for (int64_t layer = 0; layer < d.layers; ++layer)
    x = g.block("encoder_block", layer, x,
                {{"attn_q", d.queries(), kBias},
                 {"attn_k", d.keys(), kBias},
                 {"attn_v", d.keys(), kBias},
                 {"attn_output", d.attended(), kBias},
                 {"attn_output_norm", d.features(), kBias},
                 {"ffn_up", d.up(), kBias},
                 {"ffn_down", d.down(), kBias},
                 {"layer_output_norm", d.features(), kBias}},
                [&](mlir::Value x, const GraphBuilder::Weights &w) {
                  auto q = g.linear(x, w("attn_q")), k = g.linear(x, w("attn_k")), v = g.linear(x, w("attn_v"));
                  auto a = g.attention(q, k, v, {"", d.heads, d.kvHeads, d.headDim, d.scale});
                  x = g.layerNorm(g.add(x, g.linear(a, w("attn_output"))), w("attn_output_norm"), d.eps);
                  auto h = g.activate(g.linear(x, w("ffn_up")), activation);
                  return g.layerNorm(g.add(x, g.linear(h, w("ffn_down"))), w("layer_output_norm"), d.eps);
                });
  g.endEntry(embeddingOf(g, x));
}

using Pooling = GraphBuilder::Pooling;

/// pooling_type of a GGUF file, as llama.cpp numbers them.
static Pooling poolingOfGguf(const ModelSource &m) {
  switch (m.integer("pooling_type").value_or(1)) {
  case 1:
    return Pooling::Mean;
  case 2:
    return Pooling::First;
  case 3:
    return Pooling::Last;
  default:
    m.refuse("pooling_type", "is " + std::to_string(*m.integer("pooling_type")) +
                                 "; only 1 (mean), 2 (first token) and 3 (last token) are supported");
  }
}

static Pooling poolingOfFolder(const ModelSource &m) {
  for (const char *other : {"pooling.max", "pooling.root_mean", "pooling.weighted_mean"})
    if (m.flag(other).value_or(false))
      m.refuse(other, "is true: only the first or last token or their mean is supported: use a model without it");
  std::optional<Pooling> asked;
  for (auto [key, how] :
       {std::pair("pooling.first", Pooling::First), {"pooling.mean", Pooling::Mean}, {"pooling.last", Pooling::Last}})
    if (m.flag(key).value_or(false)) {
      if (asked)
        m.refuse(key,
                 "is true beside another kind: vectors of several kinds at once are not supported: use a model without them");
      asked = how;
    }
  return asked.value_or(Pooling::Mean);
}

mlir::Value heddle::embeddingOf(GraphBuilder &g, mlir::Value x) {
  const ModelSource &m = g.model();
  if (m.checkpoint().kind() == Checkpoint::Kind::Gguf)
    return g.normalize(g.pool(x, poolingOfGguf(m)));
  const std::vector<std::string> modules = m.texts(kModules).value_or(std::vector<std::string>{"Transformer", "Pooling"});
  x = g.pool(x, poolingOfFolder(m));
  for (size_t i = 0; i < modules.size(); ++i) {
    if (i < 2 && modules[i] == (i == 0 ? "Transformer" : "Pooling"))
      continue;
    if (i != 2 || modules[i] != "Normalize")
      m.refuse(kModules, "has the module " + quotedForError(modules[i]) + " as number " + std::to_string(i + 1) +
                             "; only Transformer, Pooling and Normalize are supported, in this order: use a model without it");
    x = g.normalize(x);
  }
  return x;
}
